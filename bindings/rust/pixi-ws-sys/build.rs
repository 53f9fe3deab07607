//! Where libpixiws is: in PIXIWS_LIB_DIR, else where pkg-config says.

use std::env;
use std::process::{exit, Command};

fn main() {
    println!("cargo:rerun-if-env-changed=PIXIWS_LIB_DIR");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    println!("cargo:rustc-link-lib=dylib=pixiws");
    if let Ok(folder) = env::var("PIXIWS_LIB_DIR") {
        println!("cargo:rustc-link-search=native={folder}");
        return;
    }
    let asked = Command::new("pkg-config").args(["--libs-only-L", "--keep-system-libs", "pixiws"]).output();
    match asked {
        Ok(answer) if answer.status.success() => {
            for flag in String::from_utf8_lossy(&answer.stdout).split_whitespace() {
                if let Some(folder) = flag.strip_prefix("-L") {
                    println!("cargo:rustc-link-search=native={folder}");
                }
            }
        }
        _ => {
            eprintln!("pixi-ws-sys: libpixiws was not found: pkg-config knows no \"pixiws\".");
            eprintln!(
                "  fix: set PIXIWS_LIB_DIR to the folder of libpixiws.so, or PKG_CONFIG_PATH to that of pixiws.pc"
            );
            exit(1);
        }
    }
}
