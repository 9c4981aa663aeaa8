//! The files of a journal, in a folder that other users may write as well: no link is followed, and no file of another user is
//! believed.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Only the user may read it: it says what runs where.
pub(super) const MODE: u32 = 0o600;

/// The right of everybody to write a folder.
const EVERYBODY_WRITES: u32 = 0o002;

/// Who owns a file, and whether its folder is open to everybody.
#[derive(Clone, Copy)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) is_folder_open: bool,
}

impl Owner {
    /// Why a process of this user must not believe the file. An unknown user believes it.
    pub(super) fn refusal(self, own_uid: Option<u32>) -> Option<String> {
        let is_others = own_uid.is_some_and(|own| own != self.uid);
        (is_others && self.is_folder_open)
            .then(|| format!("it belongs to the user {} in a folder that everybody may write", self.uid))
    }
}

/// The text of a file, up to a byte more than the limit. `None` if there is no file.
///
/// # Errors
/// The system's error, or that it is a link, a pipe or a folder, or that somebody else may have put it there.
pub(super) fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match plain(path).and_then(|found| open_same(path, &found, OpenOptions::new().read(true))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let owner = Owner {
        uid: file.metadata()?.uid(),
        is_folder_open: fs::metadata(folder_of(path))?.mode() & EVERYBODY_WRITES != 0,
    };
    // The owner of a process is the owner of its folder there. Other systems than Linux have none.
    let own_uid = fs::metadata("/proc/self").ok().map(|process| process.uid());
    if let Some(problem) = owner.refusal(own_uid) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, problem));
    }
    let mut text = Vec::new();
    file.take(limit + 1).read_to_end(&mut text)?;
    Ok(Some(text))
}

/// Opens or creates a file that only the user may read.
///
/// # Errors
/// See [`read`].
pub(super) fn private(path: &Path) -> io::Result<File> {
    match create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        created => return created,
    }
    let file = open_same(path, &plain(path)?, OpenOptions::new().write(true))?;
    if file.metadata()?.mode() & 0o777 != MODE {
        file.set_permissions(Permissions::from_mode(MODE))?;
    }
    Ok(file)
}

/// Creates a file that only the user may read, in the place of what a crash or another user has left there.
///
/// # Errors
/// The system's error.
pub(super) fn fresh(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => create(path),
    }
}

/// The folder of a file.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new file. The system follows no link here.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)
}

/// What stands at this path, if it is a plain file.
fn plain(path: &Path) -> io::Result<Metadata> {
    let found = fs::symlink_metadata(path)?;
    match found.is_file() {
        true => Ok(found),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no plain file but a link, a pipe or a folder, which a write would replace",
        )),
    }
}

/// Opens a file that was looked at, and makes sure that it is the same.
fn open_same(path: &Path, found: &Metadata, options: &OpenOptions) -> io::Result<File> {
    let file = options.open(path)?;
    let opened = file.metadata()?;
    match (opened.dev(), opened.ino()) == (found.dev(), found.ino()) {
        true => Ok(file),
        false => Err(io::Error::other("another process has just replaced it")),
    }
}
