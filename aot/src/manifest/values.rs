//! Checks of single values, shared by the manifest and the command line. Each says what it wanted.

use mwasm_plan::net::{Connect, Listen};

/// Bytes in a mebibyte.
pub const MEBIBYTE: u64 = 1 << 20;

/// A port to listen on.
pub fn listen(grant: &str) -> Result<(), &'static str> {
    Listen::parse(grant).map(drop).ok_or(Listen::WANTED)
}

/// A peer to connect to.
pub fn connect(grant: &str) -> Result<(), &'static str> {
    Connect::parse(grant).map(drop).ok_or(Connect::WANTED)
}

/// The guest's path of an embedded directory.
pub fn guest_directory(path: &str) -> Result<(), &'static str> {
    let tree = mwasm_plan::Dir { guest: path, files: Vec::new() };
    mwasm_plan::check_tree(&tree).map_err(|_| "an absolute path in normal form, such as /site")
}

/// Whether a name can be that of an environment variable.
pub fn variable_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

/// A size such as `64MiB`, `1 GiB` or `65536`, in bytes. Units are powers of 1024, with and without the `i`.
pub fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => MEBIBYTE,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("64MiB"), Some(64 << 20));
        assert_eq!(size(" 1 G "), Some(1 << 30));
        assert_eq!(size("4096"), Some(4096));
        for wrong in ["", "MiB", "-1", "1.5G", "1TiB", "99999999999G"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn guest_paths() {
        assert!(guest_directory("/").is_ok() && guest_directory("/a/b").is_ok());
        for wrong in ["", "a", "/a/", "/../a", "//"] {
            assert!(guest_directory(wrong).is_err(), "{wrong}");
        }
    }
}
