//! A genotype as a person names it: as text, as a file that holds one, by the name of a published
//! one.

use super::GenotypeError;
use super::text;
use crate::machine;
use crate::space::language::find::{self, NotFound};
use std::{
    io,
    path::{Path, PathBuf},
};

/// The text of one genotype, whose form can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenGenotype {
    pub text: String,
    /// What there is to say of where it was found.
    pub note: Option<String>,
}

/// No genotype is where one was named.
#[derive(Debug, thiserror::Error)]
pub enum WrittenError {
    #[error(transparent)]
    NotFound(#[from] NotFound),
    #[error("failed to read genotype `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no genotype can be read in `{path}`")]
    File {
        path: PathBuf,
        #[source]
        source: GenotypeError,
    },
    #[error("no genotype can be read in {what}")]
    Text {
        what: String,
        #[source]
        source: GenotypeError,
    },
}

impl WrittenError {
    /// The way out, where there is one to tell.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound(error) => error.hint.clone(),
            Self::Read { .. } => None,
            Self::File { source, .. } | Self::Text { source, .. } => source.hint(),
        }
    }
}

/// What is longer is not shown as if it could be a file's name.
const LONGEST_NAME: usize = 80;

impl WrittenGenotype {
    /// Bytes of the longest log that is read.
    pub const LONGEST: u64 = 64 << 20;

    /// Finds what `argument` means: a file that exists, relative to the folder `beside` or else to
    /// the current one; `FILE:NAME`, one of a file's several; the text itself; or the name of a
    /// published genotype.
    ///
    /// # Errors
    /// Where nothing is found, or no genotype can be read in what is.
    pub fn find(argument: &str, beside: &Path) -> Result<Self, WrittenError> {
        if let Some((path, name)) = place(argument, beside)? {
            return Self::in_file(&path, name);
        }
        let short = argument.len() <= LONGEST_NAME && !argument.contains('\n');
        let what = if short { format!("`{argument}`, which is no file either") } else { "the text".to_owned() };
        Self::of_text(argument, &what)
    }

    /// The file that [`find`](Self::find) would read, if it would read one.
    pub fn file(argument: &str, beside: &Path) -> Option<PathBuf> {
        place(argument, beside).ok().flatten().map(|(path, _)| path)
    }

    /// The genotype in a text, which complaints call `what`.
    ///
    /// # Errors
    /// Where none can be read.
    pub fn of_text(text: &str, what: &str) -> Result<Self, WrittenError> {
        let chosen = text::choose(text, None);
        let (text, note) = chosen.map_err(|source| WrittenError::Text { what: what.to_owned(), source })?;
        Ok(Self { text, note })
    }

    /// As [`Self::of_text`], from what somebody's program printed.
    ///
    /// # Errors
    /// As there.
    pub fn of_bytes(bytes: &[u8], what: &str) -> Result<Self, WrittenError> {
        Self::of_text(&decoded(bytes), what)
    }

    /// The genotype called `name` in the file, or the one that there is.
    fn in_file(path: &Path, name: Option<&str>) -> Result<Self, WrittenError> {
        let bytes = machine::read(path, Self::LONGEST)
            .map_err(|source| WrittenError::Read { path: path.to_owned(), source })?;
        let chosen = text::choose(&decoded(&bytes), name);
        let (text, note) = chosen.map_err(|source| WrittenError::File { path: path.to_owned(), source })?;
        Ok(Self { text, note: note.map(|note| format!("`{}`: {note}", path.display())) })
    }
}

/// The file that `argument` means and the genotype in it that it names; nothing where it is the
/// text itself.
fn place<'a>(argument: &'a str, beside: &Path) -> Result<Option<(PathBuf, Option<&'a str>)>, NotFound> {
    // A folder may be called as a genotype is; what else is there and no file is refused when it is
    // opened.
    let file = |name: &str| {
        let places = [beside, Path::new("")].map(|folder| folder.join(machine::expanded(name)));
        places.into_iter().find(|path| path.exists() && !path.is_dir())
    };
    if let Some(path) = file(argument) {
        return Ok(Some((path, None)));
    }
    if let Some((path, name)) = argument.rsplit_once(':').and_then(|(path, name)| Some((file(path)?, name))) {
        return Ok(Some((path, Some(name))));
    }
    // No name has brackets, bars, quotes or line breaks, or is a number.
    let is_number = !argument.is_empty() && argument.trim().chars().all(|letter| letter.is_ascii_digit());
    if is_number || argument.contains(['|', '(', '{', '[', '\'', '"', '\n']) {
        return Ok(None);
    }
    Ok(Some((find::find_genotype(argument, beside)?, None)))
}

/// A text in UTF-8, in which a log may have broken letters, or in UTF-16, as PowerShell writes what
/// a program prints.
fn decoded(bytes: &[u8]) -> String {
    let words =
        |word: fn([u8; 2]) -> u16| bytes[2..].as_chunks().0.iter().map(|pair| word(*pair)).collect::<Vec<u16>>();
    match bytes {
        [0xff, 0xfe, ..] => String::from_utf16_lossy(&words(u16::from_le_bytes)),
        [0xfe, 0xff, ..] => String::from_utf16_lossy(&words(u16::from_be_bytes)),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edited::edited;
    use crate::space::{Genotype, GenotypeText, Space, shipped};
    use std::fs;

    /// The genotype that `argument` names, or what is said instead, its cause behind it.
    fn found(argument: &str, beside: &Path, space: &Space) -> Result<Genotype, String> {
        let written = WrittenGenotype::find(argument, beside).map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("{error}{cause}")
        })?;
        Genotype::parse(&written.text, space).map_err(|error| error.to_string())
    }

    fn nowhere() -> &'static Path {
        Path::new("/no/such/folder")
    }

    #[test]
    fn a_darts_cell_is_read_as_programs_print_and_people_keep_it() {
        let space = shipped::space("darts");
        let expected = shipped::genotype("darts_v2", &space);
        let normal = "[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
                      ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)]";
        let reduce = "[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), \
                      ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)]";
        let call = |normal: &str, states: &str, reduce: &str| {
            format!("Genotype(normal={normal}, normal_concat={states}, reduce={reduce}, reduce_concat={states})")
        };
        let dictionary = |normal: &str, states: &str, reduce: &str| {
            format!("{{'normal': {normal}, 'normal_concat': {states}, 'reduce': {reduce}, 'reduce_concat': {states}}}")
        };
        // A list or a tuple a node, a comment behind each.
        let nodes = |edges: &str, open: &str, close: &str| {
            let edges: Vec<&str> = edges[1..edges.len() - 1].split_inclusive("),").map(str::trim).collect();
            let pairs = edges.chunks(2).map(|pair| format!("{open}{}{close}", pair.join(" ").trim_end_matches(',')));
            format!("[{}]", pairs.collect::<Vec<_>>().join(",  # a step\n"))
        };
        let weighed = |edges: &str| edited(edges, &[("),", ", 0.125),"), (")]", ", 1e-3)]")]);
        let json = |text: &str| text.replace('(', "[").replace(')', "]").replace('\'', "\"");
        let plain = call(normal, "range(2, 6)", reduce);
        let states = "[2, 3, 4, 5]";
        for text in [
            plain.clone(),
            format!("2026-11-01 10:00:00,123 INFO genotype = {plain} lr 0.025\n"),
            format!("genotypes.{plain}"),
            call(normal, "list(range(2, 6))", reduce),
            call(normal, "array([2, 3, 4, 5])", reduce),
            edited(&plain, &[(", 0)", ", np.int64(0))")]),
            format!("\u{feff}{plain}\r\n"),
            format!("\u{1b}[32mgenotype = {plain}\u{1b}[0m"),
            edited(&plain, &[("Genotype(", "Genotype( # a comment, with (brackets\n")]),
            edited(&plain, &[(", reduce=", ", connectN=None, connects=None, reduce=")]),
            call(&nodes(normal, "[", "]"), states, &nodes(reduce, "(", ")")),
            call(&nodes(&weighed(normal), "(", ")"), states, &weighed(reduce)),
            format!("Genotype({normal}, range(2, 6), {reduce}, range(2, 6))"),
            dictionary(normal, "range(2, 6)", reduce),
            format!("epoch 49 {}", dictionary(normal, states, reduce)),
            format!(
                "OrderedDict([('normal', {normal}), ('normal_concat', range(2, 6)), ('reduce', {reduce}), \
                 ('reduce_concat', range(2, 6))])"
            ),
            json(&format!("{{'epoch': 3, 'genotype': {}}}", dictionary(normal, states, reduce))),
            format!("{{\"genotype\": \"{plain}\", \"lr\": 0.1}}"),
            format!(
                "normal: {}\nnormal_concat: {states}\nreduce: {}\nreduce_concat: {states}\n",
                json(normal),
                json(&nodes(reduce, "(", ")"))
            ),
            format!("{}\nvalid_acc 97.1\nepoch 49 genotype = {plain}\n", edited(&plain, &[("sep_conv_3x3", "none")])),
        ] {
            let read = found(&text, nowhere(), &space).unwrap_or_else(|error| panic!("{text}\n{error}"));
            assert_eq!(read, expected, "{text}");
        }
        assert_eq!(found("DARTS-V2", Path::new(env!("CARGO_MANIFEST_DIR")), &space).unwrap(), expected);
    }

    #[test]
    fn a_cell_of_nas_bench_201_is_read_as_programs_print_it() {
        let space = shipped::space("nas_bench_201");
        let cell = "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|";
        let expected = Genotype::parse(cell, &space).unwrap();
        for text in [
            format!("Structure(4 nodes with {cell})"),
            format!("[2026-11-01] <<<--->>> The 099-th epoch : Structure(4 nodes with {cell})\n{{'acc': 91.2}}\n"),
            format!("{cell}\ndatasets : ['cifar10-valid'], extra-info : {{}}\ncifar10-valid  FLOPS=113.95 M\n"),
            format!("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|\n{cell}\n"),
            format!("arch = '{cell}'"),
            format!("[{cell:?}, 94.1]"),
            "('nor_conv_3x3', 'nor_conv_1x1', 'skip_connect', 'skip_connect', 'none', 'avg_pool_3x3')".to_owned(),
            "((('nor_conv_3x3', 0),), (('nor_conv_1x1', 0), ('skip_connect', 1)), \
             (('skip_connect', 0), ('none', 1), ('avg_pool_3x3', 2)))"
                .to_owned(),
            "{'0_1': 'conv_3x3', '0_2': 'conv_1x1', '1_2': 'skip_connect', '0_3': 'skip_connect', '1_3': 'none', \
             '2_3': 'avg_pool_3x3'}"
                .to_owned(),
            "{\"cell/0_1\": \"conv_3x3\", \"cell/0_2\": \"conv_1x1\", \"cell/0_3\": \"skip_connect\", \
             \"cell/1_2\": \"skip_connect\", \"cell/1_3\": \"none\", \"cell/2_3\": \"avg_pool_3x3\"}"
                .to_owned(),
        ] {
            let read = found(&text, nowhere(), &space).unwrap_or_else(|error| panic!("{text}\n{error}"));
            assert_eq!(read, expected, "{text}");
        }
        // The same to NASLib and by the space's own order.
        let pools = "|avg_pool_3x3~0|+|avg_pool_3x3~0|avg_pool_3x3~1|+|avg_pool_3x3~0|avg_pool_3x3~1|avg_pool_3x3~2|";
        assert_eq!(found("(4, 4, 4, 4, 4, 4)", nowhere(), &space), Ok(Genotype::parse(pools, &space).unwrap()));
    }

    #[test]
    fn a_file_is_one_whatever_its_name_and_one_of_several_is_taken_by_name() {
        let space = shipped::space("darts");
        let expected = [shipped::genotype("darts_v1", &space), shipped::genotype("darts_v2", &space)];
        let [first, second] = expected.each_ref().map(|one| one.to_text(GenotypeText::NamedTuple, &space).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        for name in ["genotype(1).txt", "dict.json", "9930"] {
            write(name, second.as_bytes());
        }
        let wide: Vec<u8> = format!("\u{feff}{second}\r\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
        write("powershell.log", &wide);
        write("broken.log", &[b"acc \xff\xfe ".as_slice(), second.as_bytes()].concat());
        let python = format!(
            "from collections import namedtuple\n\nGenotype = namedtuple('Genotype', 'normal normal_concat')\n\n\
             PRIMITIVES = [\n    'none',\n]\n\nDARTS_V1 = {first}\n# DARTS_V0 = {first}\nDARTS_V2 = \\\n    {second}\n\n\
             DARTS = DARTS_V2\n"
        );
        write("genotypes.py", python.as_bytes());
        write("search.log", format!("epoch 0 genotype = {first}\nepoch 1 genotype = {second}\n").as_bytes());
        let find = |argument: &str| found(argument, folder.path(), &space);
        for name in ["genotype(1).txt", "dict.json", "9930", "powershell.log", "broken.log", "search.log"] {
            assert_eq!(find(name).as_ref(), Ok(&expected[1]), "{name}");
        }
        for (name, meant) in [("DARTS_V1", 0), ("DARTS_V2", 1), ("darts-v2", 1), ("DARTS", 1)] {
            assert_eq!(find(&format!("genotypes.py:{name}")).as_ref(), Ok(&expected[meant]), "{name}");
        }
        let error = find("genotypes.py").unwrap_err();
        assert_eq!(
            error,
            format!(
                "no genotype can be read in `{}`: several genotypes are in the text: `DARTS_V1`, `DARTS_V2`",
                path("genotypes.py")
            )
        );
        let error = WrittenGenotype::find("genotypes.py:V3", folder.path()).unwrap_err();
        assert_eq!(error.hint().as_deref(), Some("there are `DARTS_V1`, `DARTS_V2`, `DARTS`"));
        let log = WrittenGenotype::find("search.log", folder.path()).unwrap();
        let note = format!("`{}`: the last of 2 genotypes is taken, in line 2", path("search.log"));
        assert_eq!((log.text, log.note), (second.clone(), Some(note)));
        // What is wrong has its place in the file.
        let bad = second.replacen("('sep_conv_3x3', 0)", "('sep_conv_3x3')", 1);
        write("bad.log", format!("a\nb genotype = {bad}\n").as_bytes());
        let error = find("bad.log").unwrap_err();
        assert_eq!(
            error,
            format!(
                "no genotype can be read in `{}`: line 2, column 32: expected `operation~state`, found `sep_conv_3x3`",
                path("bad.log")
            )
        );
        let error = find("genotype(2).txt").unwrap_err();
        assert!(
            error.starts_with("no genotype can be read in `genotype(2).txt`, which is no file either: line 1, "),
            "{error}"
        );
        let error = find("genotype.txt").unwrap_err();
        assert!(error.starts_with("no genotype `genotype.txt`, looked in "), "{error}");
    }

    #[test]
    fn long_texts_are_read_in_linear_time() {
        for part in
            ["{\"a\": ", "x = |a~0|", "genotype(", "genotype(a=", "|a", "('a', ", "{'_concat", "[", "a = \"\"\""]
        {
            let text = part.repeat(400_000 / part.len());
            let started = std::time::Instant::now();
            let _ = WrittenGenotype::of_text(&text, "the text");
            assert!(started.elapsed().as_secs() < 10, "{part}");
        }
    }
}
