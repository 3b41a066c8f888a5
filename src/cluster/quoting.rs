//! Text inside a script, so that neither the shell nor `sbatch` makes something else of it.

/// A word of the shell.
pub(super) fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The value of an option in a line of `#SBATCH`, whose quotes are double ones.
pub(super) fn option(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-+.,:;=/%@[]()&|*".contains(c);
    if text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', r#"\""#))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for text in ["plain", "two words", "it's", r#"a "b" $c `d` \ e"#, "", "two\nlines", "search[seed=0]"] {
            let said = Command::new("sh").args(["-c", &format!("printf %s {}", shell(text))]).output().unwrap();
            assert_eq!(String::from_utf8(said.stdout).unwrap(), text);
        }
    }

    #[test]
    fn what_sbatch_would_cut_is_in_quotes() {
        assert_eq!(option("--chdir=/a/b"), "--chdir=/a/b");
        assert_eq!(option(r#"--chdir=/a b/#"c"\"#), r#""--chdir=/a b/#\"c\"\\""#);
    }
}
