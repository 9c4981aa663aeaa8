//! Files in the system's folder for temporary files.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process;

/// Creates a new file that only this user can read. Its name ends with `name`.
pub fn create(name: &str) -> io::Result<(File, PathBuf)> {
    for number in 0_u32.. {
        let path = env::temp_dir().join(format!("cognigy-demo-{}-{number}-{name}", process::id()));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            // An earlier process may have had the same process id.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            created => return created.map(|file| (file, path)),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}
