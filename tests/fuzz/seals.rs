//! Checksums put right after an edit, so that a reader looks further than at them.

use darts_run::store::Digest;
use flate2::{Compression, Crc, write::GzEncoder};
use safetensors::SafeTensors;
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, io::Write};

pub fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// The state of games whose text behind the checksum is this.
pub fn saved_game(text: &[u8]) -> Vec<u8> {
    [b"dartgame", &1u32.to_le_bytes()[..], &Sha256::digest(text), text].concat()
}

/// A file of the store: JSON without its end, and the seal.
pub fn of_store(text: &[u8]) -> Vec<u8> {
    let mut file = text.to_vec();
    file.extend_from_slice(format!(",\n  \"seal\": \"{}\"\n}}\n", Digest::of(text)).as_bytes());
    file
}

/// A checkpoint whose digest is that of what it holds now, where it is one still.
pub fn checkpoint(mut bytes: Vec<u8>) -> Vec<u8> {
    let Ok((_, header)) = SafeTensors::read_metadata(&bytes) else { return bytes };
    let Ok(file) = SafeTensors::deserialize(&bytes) else { return bytes };
    let mut entries: BTreeMap<String, String> =
        header.metadata().iter().flatten().map(|(name, text)| (name.clone(), text.clone())).collect();
    let Some(old) = entries.remove("digest") else { return bytes };
    let tensors: BTreeMap<&str, &[u8]> = file.iter().map(|(name, view)| (name, view.data())).collect();
    let mut sha = Sha256::new();
    let entries = entries.iter().map(|(name, text)| (name.as_bytes(), text.as_bytes()));
    for (name, held) in entries.chain(tensors.iter().map(|(name, held)| (name.as_bytes(), *held))) {
        for part in [name, held] {
            sha.update((part.len() as u64).to_le_bytes());
            sha.update(part);
        }
    }
    let new = Digest::from_bytes(sha.finalize().into()).to_string();
    let at = bytes.windows(old.len().max(1)).position(|window| window == old.as_bytes());
    if let Some(at) = at.filter(|_| old.len() == new.len()) {
        bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
    }
    bytes
}

/// A PNG with the checksums of its chunks.
pub fn png(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut at = 8;
    while let Some(head) = bytes.get(at..at + 8) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some(end) = at.checked_add(8 + length).filter(|end| end + 4 <= bytes.len()) else { break };
        let mut crc = Crc::new();
        crc.update(&bytes[at + 4..end]);
        bytes[end..end + 4].copy_from_slice(&crc.sum().to_be_bytes());
        at = end + 4;
    }
    bytes
}

/// A tar archive with the checksums of its headers, as far as sizes lead from one to the next.
pub fn tar(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    // Empty blocks are the end.
    while let Some(head) = bytes.get_mut(at..at + 512).filter(|head| head.iter().any(|byte| *byte != 0)) {
        head[148..156].fill(b' ');
        let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
        head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let size = str::from_utf8(&head[124..135]).ok().and_then(|text| usize::from_str_radix(text.trim(), 8).ok());
        let Some(size) = size.filter(|size| *size <= bytes.len()) else { break };
        at += 512 * (1 + size.div_ceil(512));
    }
    bytes
}

/// An archive of these entries, none of them packed.
pub fn zip(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let plain = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, held) in entries {
        writer.start_file(name.as_str(), plain).expect("a new entry");
        writer.write_all(held).expect("memory takes all");
    }
    writer.finish().expect("memory takes all").into_inner()
}
