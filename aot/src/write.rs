//! Writing results: a file is there as a whole, or not at all.

use crate::problem::Problem;
use anyhow::{Context, Result};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes `bytes` to `path` under another name in the same folder, and renames it; whoever looks finds the old file or the new one.
pub fn atomically(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() {
        return Err(Problem::new(format!("cannot write '{}': it is a directory", path.display()))
            .help("name a file with -o")
            .into());
    }
    let context = || format!("cannot write '{}'", path.display());
    let mut file = tempfile::Builder::new().prefix(".mwasm-").tempfile_in(folder).map_err(|error| {
        Problem::new(format!("cannot write '{}': {error}", path.display()))
            .help("name a file in a folder that exists and that you may write to, with -o")
    })?;
    file.write_all(bytes).with_context(context)?;
    fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).with_context(context)?;
    file.persist(path).map_err(|error| error.error).with_context(context)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_file_takes_the_place_of_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        atomically(&path, b"old", 0o644).unwrap();
        atomically(&path, b"new", 0o755).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let error = atomically(&folder.path().join("no/such/folder"), b"x", 0o644).unwrap_err();
        assert!(error.to_string().contains("cannot write"), "{error}");
        assert!(atomically(folder.path(), b"x", 0o644).unwrap_err().to_string().contains("is a directory"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
