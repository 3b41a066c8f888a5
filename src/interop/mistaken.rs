//! What a file is that was taken for weights and is none: what is fetched and kept in the place of
//! one.

/// What the file is, in words, and the way out. Nothing where it is nothing that is known.
pub(super) fn identify(bytes: &[u8]) -> Option<(String, &'static str)> {
    let head = &bytes[..bytes.len().min(1024)];
    let text = std::str::from_utf8(head).unwrap_or_default().trim_start_matches('\u{feff}').trim_start();
    let begins = |word: &str| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    if bytes.is_empty() {
        return Some(("empty".to_owned(), "its writing or its download was cut off; make or fetch it again"));
    }
    if begins("version https://git-lfs.github.com/spec/") {
        let size = text.lines().find_map(|line| line.strip_prefix("size "));
        let size = size.map(|size| format!(" to {size} bytes")).unwrap_or_default();
        return Some((format!("a pointer of Git LFS{size} that were not fetched"), "fetch them: `git lfs pull`"));
    }
    if text.starts_with("/annex/objects/") || text.contains(".git/annex/objects/") {
        return Some(("a pointer of git-annex".to_owned(), "fetch what it points to: `git annex get`"));
    }
    if begins("<!doctype html") || begins("<html") || begins("<head") {
        let way = "the download ended at a web page, a login or a question; open the address in a browser, or fetch the raw file";
        return Some(("a web page (HTML)".to_owned(), way));
    }
    if begins("<?xml") || begins("<error") {
        return Some(("an XML text, as a server answers that refuses a download".to_owned(), "its text says why"));
    }
    if text.starts_with('{') {
        return Some((
            "a JSON text".to_owned(),
            "weights are safetensors or what PyTorch saved; a server's refusal may look so",
        ));
    }
    let kinds: [(&[u8], &str, &'static str); 6] = [
        (b"\x89HDF\r\n", "an HDF5 file, as Keras writes", "load it there and save the tensors as safetensors"),
        (b"\x1f\x8b", "packed by gzip", "unpack it: `gunzip`, or `tar -xzf` where it is an archive"),
        (b"BZh", "packed by bzip2", "unpack it: `bunzip2`, or `tar -xjf` where it is an archive"),
        (b"\xfd7zXZ", "packed by xz", "unpack it: `unxz`, or `tar -xJf` where it is an archive"),
        (b"\x08\x07\x12", "an ONNX network", "give the weights that it was made from, safetensors or `.pt`"),
        (b"\x08\x08\x12", "an ONNX network", "give the weights that it was made from, safetensors or `.pt`"),
    ];
    kinds.into_iter().find(|(start, ..)| bytes.starts_with(start)).map(|(_, what, way)| (what.to_owned(), way))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fetched_in_the_place_of_weights_is_called_what_it_is() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 13245678\n";
        for (bytes, expected) in [
            (&b""[..], Some("empty")),
            (pointer, Some("a pointer of Git LFS to 13245678 bytes that were not fetched")),
            (b"\xef\xbb\xbf\n<!DOCTYPE HTML><title>Google Drive", Some("a web page (HTML)")),
            (
                b"<?xml version='1.0'?><Error><Code>AccessDenied",
                Some("an XML text, as a server answers that refuses a download"),
            ),
            (b"{\"message\": \"Not Found\"}", Some("a JSON text")),
            (b"\x1f\x8b\x08", Some("packed by gzip")),
            (b"\x80\x02}q\x00.", None),
            (b"PK\x03\x04", None),
            (b"no tensors", None),
        ] {
            assert_eq!(
                identify(bytes).map(|(what, _)| what).as_deref(),
                expected,
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}
