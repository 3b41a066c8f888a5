//! Arrays in NumPy's own files: `.npy`, one array, and `.npz`, an archive of such.

use super::{
    archive::Archive,
    stored_tensor::{BARE, Element, Numbers, StoredTensor},
};
use std::collections::BTreeMap;

/// What a `.npy` file begins with.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// The arrays of a `.npz` archive by their names; nothing where the archive is another.
pub(super) fn archive(bytes: &[u8]) -> Option<Result<BTreeMap<String, StoredTensor>, String>> {
    let mut archive = Archive::open(bytes).ok()?;
    let names = archive.names.clone();
    if names.is_empty() || !names.iter().all(|name| name.ends_with(".npy")) {
        return None;
    }
    let entry = |name: &String| {
        let held = archive.entry(name).map_err(|error| error.to_string())?;
        Ok((name.trim_end_matches(".npy").to_owned(), array(&held)?))
    };
    Some(names.iter().map(entry).collect())
}

/// The array of a `.npy` file, under the name of a file's only tensor.
pub(super) fn single(bytes: &[u8]) -> Result<BTreeMap<String, StoredTensor>, String> {
    Ok([(BARE.to_owned(), array(bytes)?)].into())
}

/// Magic, version, the length of a header, the header, numbers. The header is a dictionary of
/// Python's: `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
fn array(bytes: &[u8]) -> Result<StoredTensor, String> {
    let ends = || "the file ends within its header".to_owned();
    let behind = bytes.strip_prefix(MAGIC).ok_or("it does not begin as an array of NumPy does")?;
    let (length, behind) = match behind {
        [1, _, a, b, behind @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), behind),
        [2 | 3, _, a, b, c, d, behind @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, behind),
        _ => return Err(ends()),
    };
    let (header, numbers) = behind.split_at_checked(length).ok_or_else(ends)?;
    let header = String::from_utf8_lossy(header);
    let value = |key: &str| {
        let (_, behind) = header.split_once(&format!("'{key}':"))?;
        Some(behind.trim_start())
    };
    let wrong = |key: &str| format!("its header has no `{key}` that is read here: `{}`", header.trim());
    let kind =
        value("descr").and_then(|kind| kind.strip_prefix('\'')?.split('\'').next()).ok_or_else(|| wrong("descr"))?;
    let (order, kind) = kind.split_at_checked(1).ok_or_else(|| wrong("descr"))?;
    let element = Element::of_numpy(kind).ok_or_else(|| wrong("descr"))?;
    let columns_first = value("fortran_order").ok_or_else(|| wrong("fortran_order"))?.starts_with("True");
    let sides =
        value("shape").and_then(|sides| sides.strip_prefix('(')?.split(')').next()).ok_or_else(|| wrong("shape"))?;
    let sides = sides.split(',').map(str::trim).filter(|side| !side.is_empty()).map(str::parse);
    let shape: Vec<usize> = sides.collect::<Result<_, _>>().map_err(|_| wrong("shape"))?;
    let bytes = rows_first(numbers.to_vec(), element, &shape, order == ">", columns_first)
        .map_err(|found| format!("an array of {shape:?} has {found} bytes"))?;
    Ok(StoredTensor { numbers: Numbers::decode(element, &bytes), shape })
}

/// An array's numbers row by row and little-endian; where there are not as many as its shape has,
/// how many bytes there are.
pub(super) fn rows_first(
    mut bytes: Vec<u8>,
    element: Element,
    shape: &[usize],
    big_endian: bool,
    columns_first: bool,
) -> Result<Vec<u8>, usize> {
    let width = element.width();
    let count = shape.iter().try_fold(1_usize, |count, side| count.checked_mul(*side));
    let count = count.filter(|count| count.checked_mul(width) == Some(bytes.len())).ok_or(bytes.len())?;
    if big_endian {
        bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
    if !columns_first || count == 0 {
        return Ok(bytes);
    }
    let mut rows = Vec::with_capacity(bytes.len());
    for row in 0..count {
        let (mut rest, mut at, mut stride) = (row, 0, count);
        for side in shape.iter().rev() {
            stride /= side;
            at += (rest % side) * stride;
            rest /= side;
        }
        rows.extend_from_slice(&bytes[at * width..(at + 1) * width]);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, numbers: &[u8]) -> Vec<u8> {
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        [MAGIC, &[1, 0], &length, header.as_bytes(), numbers].concat()
    }

    #[test]
    fn an_array_is_read_by_rows_whatever_its_order_is() {
        let rows: Vec<u8> = (0..6).flat_map(|x: i16| x.to_le_bytes()).collect();
        let expected = StoredTensor { shape: vec![2, 3], numbers: Numbers::Integer(vec![0, 1, 2, 3, 4, 5]) };
        let plain = file("{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }     \n", &rows);
        assert_eq!(array(&plain).unwrap(), expected);
        let columns: Vec<u8> = [0, 3, 1, 4, 2, 5].into_iter().flat_map(|x: i16| x.to_be_bytes()).collect();
        let turned = file("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }\n", &columns);
        assert_eq!(array(&turned).unwrap(), expected);
        let bare = file("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", &1.5_f32.to_le_bytes());
        assert_eq!(array(&bare).unwrap(), StoredTensor { shape: vec![], numbers: Numbers::Float(vec![1.5]) });
        for length in 0..plain.len() {
            assert!(array(&plain[..length]).is_err(), "{length}");
        }
        let object = file("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", &[]);
        assert!(array(&object).unwrap_err().starts_with("its header has no `descr` that is read here"));
        let long = file("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 9999999999), }", &[0]);
        assert_eq!(array(&long).unwrap_err(), "an array of [9999999999, 9999999999] has 1 bytes");
    }
}
