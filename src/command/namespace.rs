//! Names of namespaces in flags.

/// The maximum length of a DNS label (RFC 1123). The name of a namespace is a DNS label.
const MAX_LABEL: usize = 63;

/// Parses the name of a namespace.
///
/// # Errors
/// The message says what to write, if no namespace can have this name.
pub(super) fn namespace(text: &str) -> Result<String, String> {
    let name = text.trim();
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_name = (1..=MAX_LABEL).contains(&name.len())
        && name.bytes().all(is_inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    match is_name {
        true => Ok(name.to_owned()),
        false => Err(format!(
            "no namespace has this name; write 1 to {MAX_LABEL} of the characters a-z 0-9 - with a letter or digit at both \
             ends, and a comma between two names"
        )),
    }
}

/// Parses the name of a namespace, or `*` for all.
///
/// # Errors
/// As for [`namespace`].
pub(super) fn namespace_or_all(text: &str) -> Result<String, String> {
    match text.trim() {
        "*" => Ok("*".to_owned()),
        name => namespace(name).map_err(|problem| format!("{problem}; or * for all namespaces")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_names_of_namespaces_are_accepted() {
        for name in ["bots", "a", "0", "a-b", "x--y", &"x".repeat(63), " bots "] {
            assert_eq!(namespace(name), Ok(name.trim().to_owned()));
            assert_eq!(namespace_or_all(name), Ok(name.trim().to_owned()));
        }
        for name in ["", " ", "a b", "a.b", "A", "-a", "a-", "a_b", "ä", "a/b", "*", "**", "a*", &"x".repeat(64)] {
            let problem = namespace(name).err();
            assert!(problem.is_some_and(|problem| problem.contains("a-z 0-9 -")), "{name:?}");
            assert_eq!(namespace_or_all(name).is_ok(), name == "*", "{name:?}");
        }
    }
}
