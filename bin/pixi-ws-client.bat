@echo off
rem pixi-ws-client.bat [--python | --rust] ARGUMENTS... -- starts pixi-ws-client under the Windows Subsystem for Linux.
rem
rem It runs pixi-ws-client.sh, which lies beside this file, in WSL's default distribution; the exit code is the
rem program's. Windows paths among the arguments are not translated: write /mnt/c/... docs/launchers.md tells the rest.
setlocal DisableDelayedExpansion

set "wsl="
for %%I in (wsl.exe) do set "wsl=%%~$PATH:I"
if not defined wsl (
    echo pixi-ws-client.bat: wsl.exe is not on the PATH; "wsl --install" sets up the Windows Subsystem for Linux 1>&2
    exit /b 127
)
set "here=%~dp0"
if not exist "%here%pixi-ws-client.sh" (
    echo pixi-ws-client.bat: pixi-ws-client.sh is not beside it, in %here% 1>&2
    exit /b 127
)

rem wsl.exe eats backslashes, wslpath takes slashes as well.
set "here=%here:\=/%"
set "launcher="
for /f "usebackq delims=" %%P in (`wsl.exe wslpath -a "%here%pixi-ws-client.sh"`) do set "launcher=%%P"
if not defined launcher (
    echo pixi-ws-client.bat: WSL found no path for %here%pixi-ws-client.sh; "wsl --status" says how it is 1>&2
    exit /b 127
)

rem These are passed on to Linux, the path translated.
set "WSLENV=PIXI_WS_SETTINGS/p:PIXI_WS_URL:PIXI_WS_API_KEY:PIXI_WS_RUN_AS:%WSLENV%"
wsl.exe --exec sh "%launcher%" %*
exit /b %errorlevel%
