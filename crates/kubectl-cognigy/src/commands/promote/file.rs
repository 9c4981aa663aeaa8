//! Reads the files, and replaces the target at once: nobody ever reads half of it.

use manifest::read::LARGEST_FILE;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// The text of a file.
///
/// # Errors
/// Why it cannot be read, and what to do.
pub fn read(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("the file cannot be read: {error}");
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        return Err("it is a folder: name a file in it".to_owned());
    }
    if !metadata.is_file() {
        return Err("it is no ordinary file: name a YAML or JSON file of a working copy".to_owned());
    }
    let limit = u64::try_from(LARGEST_FILE).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() > LARGEST_FILE {
        return Err(format!("it is too large: at most {LARGEST_FILE} bytes are read of one file: split it"));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text: save it as UTF-8".to_owned())
}

/// The text of the file that is to be replaced. A symbolic link is refused: the link would be replaced, not its file.
///
/// # Errors
/// As [`read`], and if it is a symbolic link.
pub fn read_target(path: &Path) -> Result<String, String> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => Err(match fs::canonicalize(path) {
            Ok(file) => format!("it is a symbolic link: name the file itself, {}", file.display()),
            Err(_) => "it is a symbolic link to a file that is missing: name a file".to_owned(),
        }),
        _ => read(path),
    }
}

/// Replaces a file that still has the text `before`. Its permissions stay. If this fails, the file is as it was.
///
/// # Errors
/// Why it cannot be written, and what to do.
pub fn replace(path: &Path, before: &str, after: &str) -> Result<(), String> {
    let unwritable = |error: std::io::Error| format!("it cannot be written, and is as it was: {error}");
    let metadata = fs::metadata(path).map_err(unwritable)?;
    if metadata.permissions().readonly() {
        return Err("it is read-only, and is as it was: allow writing, and run the command again".to_owned());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // In the same folder, because a rename between file systems is not atomic.
    let copy = Copy(folder.join(format!(".promote-{}", std::process::id())));
    let mut file = File::create_new(&copy.0).map_err(unwritable)?;
    file.write_all(after.as_bytes()).map_err(unwritable)?;
    file.set_permissions(metadata.permissions()).map_err(unwritable)?;
    file.sync_all().map_err(unwritable)?;
    if read_target(path)? != before {
        return Err(
            "another program has changed it in the meantime, and nothing was written: run the command again".to_owned()
        );
    }
    fs::rename(&copy.0, path).map_err(unwritable)
}

/// The new text in a file of its own. It is removed if it does not become the target.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        // After a success it has another name. Otherwise the error is reported already.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_keeps_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bot.yaml");
        fs::write(&path, "old").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        }
        let before = fs::metadata(&path).unwrap().permissions();
        replace(&path, "old", "new").unwrap();
        assert_eq!(read_target(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions(), before);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left in the folder");
    }

    #[test]
    fn a_file_that_somebody_else_has_changed_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bot.yaml");
        fs::write(&path, "theirs").unwrap();
        assert!(replace(&path, "old", "new").unwrap_err().contains("another program has changed it"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left in the folder");
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions).unwrap();
        assert!(replace(&path, "theirs", "new").unwrap_err().contains("it is read-only"));
    }

    #[test]
    fn what_is_no_text_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("latin.yaml"), [0x61, 0xe4]).unwrap();
        File::create(path("large.yaml")).unwrap().set_len(LARGEST_FILE as u64 + 1).unwrap();
        for (file, says) in [
            (folder.path().to_owned(), "it is a folder"),
            (path("none.yaml"), "the file cannot be read"),
            (path("latin.yaml"), "it is not UTF-8"),
            (path("large.yaml"), "it is too large"),
        ] {
            assert!(read_target(&file).unwrap_err().contains(says), "{}", file.display());
        }
        #[cfg(unix)]
        {
            fs::write(path("bot.yaml"), "a: 1").unwrap();
            std::os::unix::fs::symlink(path("bot.yaml"), path("link.yaml")).unwrap();
            assert!(
                read_target(&path("link.yaml")).unwrap_err().contains("it is a symbolic link: name the file itself")
            );
            assert_eq!(read(&path("link.yaml")).unwrap(), "a: 1", "a release may be read through a link");
        }
    }
}
