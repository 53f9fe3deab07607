@echo off
rem The same as pixi-ws-client.bat, by its other spelling. Without "call" the other takes over, exit code and all.
"%~dp0pixi-ws-client.bat" %*
