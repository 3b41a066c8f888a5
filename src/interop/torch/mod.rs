//! Files of PyTorch: the containers that `torch.save` has written, and pickles of dictionaries that
//! other programs write.
//!
//! | since | container |
//! | --- | --- |
//! | 1.6 | a ZIP archive: `data.pkl`, and `data/KEY` for each storage |
//! | 0.1.10 | pickles: a number, a version, the machine, the object, the keys; then the storages |
//! | before | a TAR archive: `storages`, `tensors`, `pickle` |

mod checkpoint;
mod pickle;

use super::{
    archive::{Archive, ArchiveError, MOST_TIMES},
    stored_tensor::{Element, Numbers, StoredTensor},
};
use checkpoint::{Found, Place};
use pickle::{Object, Pickle, PickleError};
use std::collections::{BTreeMap, HashMap};

/// A file is not one of PyTorch's, or holds what is not read here.
#[derive(Debug, thiserror::Error)]
pub enum TorchError {
    #[error("it begins as no container of PyTorch does")]
    Container,
    #[error("{0}")]
    Pickle(#[from] PickleError),
    #[error("{0}")]
    Archive(#[from] ArchiveError),
    #[error("it has no `{0}`")]
    NoEntry(String),
    #[error("it was saved on a machine of the other byte order")]
    BigEndian,
    #[error("it is a container of before PyTorch 0.1.10, which is not read here")]
    Tar,
    #[error("{0}")]
    Object(String),
    #[error("tensor `{name}` does not lie within its storage of {bytes} bytes")]
    Outside { name: String, bytes: usize },
    #[error("its tensors take more than {MOST_TIMES} times the file")]
    Large,
}

/// The number that a container of pickles begins with, as bytes and in digits.
const MAGIC: [&[u8]; 2] = [&[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19], b"119547037146038801333356"];

/// How far into a file that number begins.
const MAGIC_WITHIN: usize = 64;

/// Every tensor of a file by the path to it.
pub(super) fn read(bytes: &[u8]) -> Result<BTreeMap<String, StoredTensor>, TorchError> {
    let head = &bytes[..bytes.len().min(MAGIC_WITHIN)];
    let is_stream = MAGIC.iter().any(|magic| head.windows(magic.len()).any(|part| part == *magic));
    if bytes.starts_with(b"PK") {
        archive(bytes)
    } else if bytes.get(257..262) == Some(b"ustar") {
        Err(TorchError::Tar)
    } else if is_stream {
        stream(bytes)
    } else if bytes.first().is_some_and(|first| b"\x80(}]c".contains(first)) {
        let (pickle, _) = Pickle::read(bytes)?;
        loaded(&pickle, bytes.len(), |_| None)
    } else {
        Err(TorchError::Container)
    }
}

fn archive(bytes: &[u8]) -> Result<BTreeMap<String, StoredTensor>, TorchError> {
    let mut archive = Archive::open(bytes)?;
    let is_root = |root: &&str| root.is_empty() || root.ends_with('/');
    let root = archive.names.iter().find_map(|name| name.strip_suffix("data.pkl").filter(is_root));
    let root = root.ok_or_else(|| TorchError::NoEntry("data.pkl".to_owned()))?.to_owned();
    let order = format!("{root}byteorder");
    if archive.names.contains(&order) && archive.entry(&order)?.starts_with(b"big") {
        return Err(TorchError::BigEndian);
    }
    let (pickle, _) = Pickle::read(&archive.entry(&format!("{root}data.pkl"))?)?;
    let mut storages = HashMap::new();
    for found in checkpoint::tensors(&pickle).map_err(TorchError::Object)?.into_values() {
        if let Place::Storage { key, .. } = found.numbers
            && !storages.contains_key(&key)
        {
            let held = archive.entry(&format!("{root}data/{key}"))?;
            storages.insert(key, held);
        }
    }
    loaded(&pickle, bytes.len(), |key| storages.get(key).map(Vec::as_slice))
}

fn stream(bytes: &[u8]) -> Result<BTreeMap<String, StoredTensor>, TorchError> {
    let mut at = 0;
    let mut next = || -> Result<Pickle, TorchError> {
        let (pickle, length) = Pickle::read(&bytes[at..])?;
        at += length;
        Ok(pickle)
    };
    let (_magic, _version, machine, pickle, keys) = (next()?, next()?, next()?, next()?, next()?);
    let little = machine.entry(machine.root, "little_endian");
    if little.is_some_and(|little| *machine.get(little) == Object::Bool(false)) {
        return Err(TorchError::BigEndian);
    }
    let named = pickle.objects().filter_map(|object| match object {
        Object::Persistent(name) => checkpoint::storage(&pickle, *name),
        _ => None,
    });
    let elements: HashMap<String, Element> =
        named.filter_map(|storage| Some((storage.key, storage.element?))).collect();
    let mut storages = HashMap::new();
    for key in keys.sequence(keys.root).unwrap_or_default() {
        let key = keys.key(*key).ok_or_else(|| TorchError::Object("a storage's key is no text".to_owned()))?;
        let missing = || TorchError::NoEntry(key.clone());
        let (head, behind) = bytes[at..].split_first_chunk().ok_or_else(missing)?;
        let width = elements.get(&key).ok_or_else(missing)?.width();
        let length = usize::try_from(u64::from_le_bytes(*head)).ok().and_then(|count| count.checked_mul(width));
        let held = length.and_then(|length| behind.get(..length)).ok_or_else(missing)?;
        at += head.len() + held.len();
        storages.insert(key, held);
    }
    loaded(&pickle, bytes.len(), |key| storages.get(key).copied())
}

/// The pickle's tensors with their numbers. `file` is the file's length.
fn loaded<'a>(
    pickle: &Pickle,
    file: usize,
    storage: impl Fn(&str) -> Option<&'a [u8]>,
) -> Result<BTreeMap<String, StoredTensor>, TorchError> {
    let mut left = file.saturating_mul(MOST_TIMES);
    let mut tensors = BTreeMap::new();
    for (name, Found { element, shape, numbers }) in checkpoint::tensors(pickle).map_err(TorchError::Object)? {
        let length = shape.iter().try_fold(element.width(), |length, side| length.checked_mul(*side));
        left = length.and_then(|length| left.checked_sub(length)).ok_or(TorchError::Large)?;
        let bytes = match numbers {
            Place::Inline { bytes, big_endian, columns_first } => {
                super::numpy::rows_first(bytes, element, &shape, big_endian, columns_first)
                    .map_err(|bytes| TorchError::Outside { name: name.clone(), bytes })?
            }
            Place::Storage { key, offset, strides } => {
                let held = storage(&key).ok_or_else(|| TorchError::NoEntry(format!("data/{key}")))?;
                gathered(held, element.width(), offset, &shape, &strides)
                    .ok_or(TorchError::Outside { name: name.clone(), bytes: held.len() })?
            }
        };
        tensors.insert(name, StoredTensor { numbers: Numbers::decode(element, &bytes), shape });
    }
    Ok(tensors)
}

/// A view of a storage, row by row; nothing where it reaches beyond. Offset and strides count
/// elements.
fn gathered(held: &[u8], width: usize, offset: usize, shape: &[usize], strides: &[usize]) -> Option<Vec<u8>> {
    let count = shape.iter().product::<usize>();
    if count == 0 {
        return Some(Vec::new());
    }
    let reach = shape
        .iter()
        .zip(strides)
        .try_fold(offset, |reach, (side, stride)| reach.checked_add((side - 1).checked_mul(*stride)?))?;
    if reach.checked_add(1)?.checked_mul(width)? > held.len() {
        return None;
    }
    let mut bytes = Vec::with_capacity(count * width);
    let (mut index, mut at) = (vec![0; shape.len()], offset);
    loop {
        bytes.extend_from_slice(&held[at * width..(at + 1) * width]);
        // As an odometer counts, the last side first.
        let mut side = shape.len();
        loop {
            let Some(next) = side.checked_sub(1) else { return Some(bytes) };
            side = next;
            index[side] += 1;
            at += strides[side];
            if index[side] < shape[side] {
                break;
            }
            at -= strides[side] * shape[side];
            index[side] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;
    use std::path::Path;

    fn bytes(name: &str) -> Vec<u8> {
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pytorch").join(name)).unwrap()
    }

    fn floats(tensor: &StoredTensor) -> (&[usize], &[f32]) {
        (&tensor.shape, tensor.float().unwrap())
    }

    #[test]
    fn objects_beside_the_tensors_are_passed_over() {
        let tensors = read(&bytes("optimiser_beside.pt")).unwrap();
        let names: Vec<&str> = tensors.keys().map(String::as_str).collect();
        assert_eq!(names, ["ema.stem.bias", "state_dict.module.stem.bias", "state_dict.module.stem.weight"]);
        let turned = floats(&tensors["state_dict.module.stem.weight"]);
        assert_eq!(turned, (&[3, 2][..], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0][..]));
        assert_eq!(floats(&tensors["ema.stem.bias"]), (&[2][..], &[0.5, -0.5][..]));
    }

    #[test]
    fn a_whole_model_of_the_older_container_is_its_state_dict() {
        let tensors = read(&bytes("whole_model_of_1_5.pt")).unwrap();
        let names: Vec<&str> = tensors.keys().map(String::as_str).collect();
        assert_eq!(names, ["again.weight", "scale", "stem.0.weight"], "no attribute and no buffer that is not saved");
        assert_eq!(floats(&tensors["scale"]), (&[][..], &[2.0][..]));
        assert_eq!(tensors["again.weight"], tensors["stem.0.weight"]);
        assert_eq!(floats(&tensors["stem.0.weight"]).1, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    }

    #[test]
    fn arrays_of_numpy_are_tensors_whatever_their_order_is() {
        let tensors = read(&bytes("numpy_arrays.pt")).unwrap();
        let rows = (&[2, 3][..], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0][..]);
        assert_eq!(floats(&tensors["model.rows"]), rows);
        assert_eq!(floats(&tensors["model.columns"]), rows);
        assert_eq!(floats(&tensors["model.big"]), (&[3][..], &[0.0, 1.0, 2.0][..]));
        assert_eq!(tensors["model.count"].numbers, Numbers::Integer(vec![300]));
        let tensors = super::super::numpy::archive(&bytes("arrays.npz")).unwrap().unwrap();
        assert_eq!((floats(&tensors["rows"]), floats(&tensors["columns"])), (rows, rows));
    }

    /// A file cut short or with a byte turned is refused, or is another file: it never ends the
    /// program.
    #[test]
    fn damaged_files_are_survived() {
        for name in ["optimiser_beside.pt", "whole_model_of_1_5.pt", "numpy_arrays.pt", "checkpoint_of_1_5.pth.tar"] {
            let whole = bytes(name);
            (0..whole.len().min(4000)).into_par_iter().for_each(|at| {
                if name != "checkpoint_of_1_5.pth.tar" {
                    assert!(read(&whole[..at]).is_err(), "{name} of {at} bytes");
                }
                for turned in [0xff, 0x01, 0x80] {
                    let mut damaged = whole.clone();
                    damaged[at] ^= turned;
                    let _ = read(&damaged);
                }
            });
        }
    }

    #[test]
    fn what_holds_itself_or_too_much_ends() {
        // A list that holds itself, and dictionaries of which each holds the next twice.
        assert!(read(b"\x80\x02]q\x00h\x00a.").unwrap().is_empty());
        let twice: Vec<u8> =
            (0..60_u8).flat_map(|at| [b'}', b'(', b'K', 0, b'h', at, b'K', 1, b'h', at, b'u', b'q', at + 1]).collect();
        let bomb = [&b"\x80\x02}q\x00"[..], &twice, b"."].concat();
        assert!(read(&bomb).unwrap_err().to_string().contains("are held by each other"));
        let objects = [&b"\x80\x02("[..], &b"K\x00".repeat(1_000_001), b"t."].concat();
        assert!(read(&objects).unwrap_err().to_string().contains("more than 1000000 objects"));
        // A tensor that is one number, repeated.
        let storage = b"((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x01tQK\x00";
        let shape = b"J\x00\x00\x00\x40\x85K\x00\x85\x89}t";
        let large = [&b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n"[..], storage, shape, b"R."].concat();
        assert!(matches!(read(&large).unwrap_err(), TorchError::Large));
    }
}
