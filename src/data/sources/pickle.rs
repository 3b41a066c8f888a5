//! The pickles that CIFAR is published in for Python: a dictionary of texts, numbers, lists of them
//! and an array of bytes.
//!
//! A pickle is a program for a stack machine that may call anything that Python has. Here nothing
//! is called: a call leaves a value that says nothing, an array is known by the state that is put
//! into it, and a word that these files do not use is refused. Texts stay the file's own bytes, no
//! list holds a list, and words are counted: no file nests deeply or grows in memory. The words are
//! those of protocol 2 (Python 2, the official files) to 4 (what Python 3 writes of the same), as
//! Python's `Lib/pickletools.py` lists them.

use std::collections::BTreeMap;

/// The values of the dictionary by their keys.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    entries: BTreeMap<&'a [u8], Value<'a>>,
}

#[derive(Debug, Clone, PartialEq)]
enum Value<'a> {
    /// Of letters or of bytes: Python 2 does not tell them apart.
    Text(&'a [u8]),
    Integer(i64),
    Boolean(bool),
    List(Vec<Value<'a>>),
    /// A tuple of two numbers.
    Shape([i64; 2]),
    /// Row by row.
    Array {
        shape: [i64; 2],
        bytes: &'a [u8],
    },
    /// The one dictionary, whose entries the machine has.
    Dictionary,
    /// A class, what a call gave, another tuple, `None`: nothing that is asked for.
    Other,
}

/// The longest of these files, CIFAR-100's for training, has some 200,000.
const MOST_WORDS: usize = 1 << 20;

impl<'a> Pickle<'a> {
    /// Reads the dictionary, or says in words why there is none.
    pub fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let mut machine = Machine { bytes, ..Machine::default() };
        for _ in 0..MOST_WORDS {
            let start = machine.at;
            match machine.follow() {
                Ok(true) => {}
                Ok(false) if machine.stack == [Value::Dictionary] => return Ok(Self { entries: machine.entries }),
                Ok(false) => return Err("it holds no dictionary".to_owned()),
                Err(why) => return Err(format!("{why} at byte {start}")),
            }
        }
        Err(format!("it has more than {MOST_WORDS} words"))
    }

    /// The numbers of a list.
    pub fn integers(&self, key: &str) -> Result<Vec<i64>, String> {
        self.list(key, |value| if let Value::Integer(value) = value { Some(*value) } else { None })
    }

    /// The texts of a list.
    pub fn texts(&self, key: &str) -> Result<Vec<String>, String> {
        let text = |bytes: &[u8]| str::from_utf8(bytes).ok().map(str::to_owned);
        self.list(key, |value| if let Value::Text(bytes) = value { text(bytes) } else { None })
    }

    /// The bytes of an array whose rows have `columns` of them.
    pub fn rows(&self, key: &str, columns: usize) -> Result<&'a [u8], String> {
        let Some(Value::Array { shape, bytes }) = self.entries.get(key.as_bytes()) else {
            return Err(format!("it has no array `{key}`"));
        };
        let expected = [(bytes.len() / columns) as i64, columns as i64];
        if bytes.is_empty() || !bytes.len().is_multiple_of(columns) || *shape != expected {
            let bytes = bytes.len();
            return Err(format!("its array `{key}` of {shape:?} has {bytes} bytes, expected rows of {columns} bytes"));
        }
        Ok(bytes)
    }

    fn list<T>(&self, key: &str, of: impl Fn(&Value<'a>) -> Option<T>) -> Result<Vec<T>, String> {
        let values = match self.entries.get(key.as_bytes()) {
            Some(Value::List(values)) => values.iter().map(of).collect(),
            _ => None,
        };
        values.ok_or_else(|| format!("it has no list `{key}`, or one of other values"))
    }
}

#[derive(Debug, Default)]
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    /// Heights of the stack where something of many parts begins.
    marks: Vec<usize>,
    /// What may be asked for once more.
    memo: BTreeMap<i64, Value<'a>>,
    entries: BTreeMap<&'a [u8], Value<'a>>,
}

impl<'a> Machine<'a> {
    /// Follows one word; whether there is another.
    fn follow(&mut self) -> Result<bool, String> {
        let made = match self.take(1)?[0] {
            b'.' => return Ok(false),
            // The protocol, and how long a frame is, which only saves work.
            0x80 => return self.take(1).map(|_| true),
            0x95 => return self.take(8).map(|_| true),
            b'(' => {
                self.marks.push(self.stack.len());
                return Ok(true);
            }
            b'q' => return self.remember(1),
            b'r' => return self.remember(4),
            0x94 => return self.keep(self.memo.len() as i64),
            b'a' => return self.append(1),
            b'e' => return self.since_mark().and_then(|count| self.append(count)),
            b's' => return self.set(2),
            b'u' => return self.since_mark().and_then(|count| self.set(count)),

            b'}' if self.stack.is_empty() => Value::Dictionary,
            b']' => Value::List(Vec::new()),
            b'N' | b')' => Value::Other,
            0x88 => Value::Boolean(true),
            0x89 => Value::Boolean(false),
            b'K' => Value::Integer(self.number(1)?),
            b'M' => Value::Integer(self.number(2)?),
            b'J' => Value::Integer(i64::from(self.number(4)? as i32)),
            b'U' | b'C' | 0x8c => self.text(1)?,
            b'T' | b'B' | b'X' => self.text(4)?,
            0x8e => self.text(8)?,
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            0x85 => tuple(&self.pop(1)?),
            0x86 => tuple(&self.pop(2)?),
            0x87 => tuple(&self.pop(3)?),
            b't' => {
                let count = self.since_mark()?;
                tuple(&self.pop(count)?)
            }
            // A class, by two lines or by two texts, and a call of one: nothing is looked up,
            // nothing is called.
            b'c' => {
                self.line()?;
                self.line()?;
                Value::Other
            }
            0x93 | b'R' => {
                self.pop(2)?;
                Value::Other
            }
            // What was called is given its state, which is all that is asked for of an array.
            b'b' => self.pop(2)?.swap_remove(1),
            other => return Err(format!("a word {other:#04x}, which no such file has,")),
        };
        self.stack.push(made);
        Ok(true)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let taken = self.bytes[self.at..].get(..count).ok_or("it is cut short")?;
        self.at += count;
        Ok(taken)
    }

    /// Without a sign, the lowest byte first.
    fn number(&mut self, bytes: usize) -> Result<i64, String> {
        let mut number = [0; 8];
        number[..bytes].copy_from_slice(self.take(bytes)?);
        i64::try_from(u64::from_le_bytes(number)).map_err(|_| "a number beyond all sizes".to_owned())
    }

    fn text(&mut self, bytes_of_length: usize) -> Result<Value<'a>, String> {
        let length = self.number(bytes_of_length)?;
        self.take(length as usize).map(Value::Text)
    }

    fn line(&mut self) -> Result<(), String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or("it is cut short")?;
        self.take(end + 1).map(drop)
    }

    fn pop(&mut self, count: usize) -> Result<Vec<Value<'a>>, String> {
        let start = self.stack.len().checked_sub(count).ok_or("it takes more than there is")?;
        Ok(self.stack.split_off(start))
    }

    fn since_mark(&mut self) -> Result<usize, String> {
        let mark = self.marks.pop().and_then(|mark| self.stack.len().checked_sub(mark));
        mark.ok_or_else(|| "the end of what was not begun".to_owned())
    }

    fn append(&mut self, count: usize) -> Result<bool, String> {
        let values = self.pop(count)?;
        let is_plain = |value: &Value<'_>| matches!(value, Value::Text(_) | Value::Integer(_));
        match self.stack.last_mut() {
            Some(Value::List(list)) if values.iter().all(is_plain) => list.extend(values),
            _ => return Err("a list of other things than texts and numbers".to_owned()),
        }
        Ok(true)
    }

    fn set(&mut self, count: usize) -> Result<bool, String> {
        let mut values = self.pop(count)?.into_iter();
        if self.stack != [Value::Dictionary] {
            return Err("an entry of no dictionary".to_owned());
        }
        while let (Some(key), Some(value)) = (values.next(), values.next()) {
            let Value::Text(key) = key else { return Err("a key that is no text".to_owned()) };
            self.entries.insert(key, value);
        }
        Ok(true)
    }

    fn remember(&mut self, bytes: usize) -> Result<bool, String> {
        let number = self.number(bytes)?;
        self.keep(number)
    }

    /// Keeps the newest value under `number`. A list is asked for once, where it stands.
    fn keep(&mut self, number: i64) -> Result<bool, String> {
        let value = match self.stack.last().ok_or("it keeps more than there is")? {
            Value::List(_) | Value::Dictionary => Value::Other,
            value => value.clone(),
        };
        self.memo.insert(number, value);
        Ok(true)
    }

    fn recall(&mut self, bytes: usize) -> Result<Value<'a>, String> {
        let number = self.number(bytes)?;
        self.memo.get(&number).cloned().ok_or_else(|| format!("it asks for value {number}, which was not kept,"))
    }
}

/// A pair of numbers, the state of an array (version, shape, type, whether column by column,
/// bytes), or something else.
fn tuple<'a>(values: &[Value<'a>]) -> Value<'a> {
    match *values {
        [Value::Integer(rows), Value::Integer(columns)] => Value::Shape([rows, columns]),
        [Value::Integer(_), Value::Shape(shape), _, Value::Boolean(false), Value::Text(bytes)] => {
            Value::Array { shape, bytes }
        }
        _ => Value::Other,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A dictionary in the words of Python 2's `cPickle`, protocol 2, which the official files are
    /// written in.
    #[derive(Default)]
    pub struct Written(Vec<u8>);

    impl Written {
        pub fn integers(self, key: &str, values: &[u8]) -> Self {
            let list = self.text(key).words(b"](");
            values.iter().fold(list, |list, &value| list.words(&[b'K', value])).words(b"e")
        }

        pub fn texts(self, key: &str, values: &[String]) -> Self {
            let list = self.text(key).words(b"](");
            values.iter().fold(list, |list, value| list.text(value)).words(b"e")
        }

        /// `numpy.ndarray.__reduce__` of an array of `uint8`.
        pub fn array(self, key: &str, rows: u16, columns: u16, bytes: &[u8]) -> Self {
            self.text(key)
                .words(b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\0\x85U\x01b\x87Rq\x0a(K\x01M")
                .words(&rows.to_le_bytes())
                .words(b"M")
                .words(&columns.to_le_bytes())
                .words(b"\x86cnumpy\ndtype\nq\x0bU\x02u1K\0K\x01\x87Rq\x0c(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T")
                .words(&(bytes.len() as u32).to_le_bytes())
                .words(bytes)
                .words(b"tb")
        }

        pub fn end(self) -> Vec<u8> {
            [&b"\x80\x02}q\x01("[..], &self.0, b"u."].concat()
        }

        /// With a number to ask for it again, which nothing does.
        fn text(self, text: &str) -> Self {
            self.words(&[b'U', text.len() as u8]).words(text.as_bytes()).words(b"q\x02")
        }

        fn words(mut self, words: &[u8]) -> Self {
            self.0.extend_from_slice(words);
            self
        }
    }

    fn batch() -> Vec<u8> {
        let names = ["a.png".to_owned(), "b.png".to_owned()];
        let written = Written::default().texts("filenames", &names).integers("labels", &[6, 9]);
        written.array("data", 2, 3, &[1, 2, 3, 250, 251, 252]).end()
    }

    #[test]
    fn numbers_texts_and_an_array_are_read() {
        let bytes = batch();
        let pickle = Pickle::read(&bytes).unwrap();
        assert_eq!(pickle.integers("labels").unwrap(), [6, 9]);
        assert_eq!(pickle.texts("filenames").unwrap(), ["a.png", "b.png"]);
        assert_eq!(pickle.rows("data", 3).unwrap(), [1, 2, 3, 250, 251, 252]);
        assert_eq!(pickle.integers("filenames").unwrap_err(), "it has no list `filenames`, or one of other values");
        assert_eq!(pickle.rows("labels", 3).unwrap_err(), "it has no array `labels`");
        let said = "its array `data` of [2, 3] has 6 bytes, expected rows of 2 bytes";
        assert_eq!(pickle.rows("data", 2).unwrap_err(), said);
    }

    /// `pickle.dumps({"labels": [6, 300, -1], "data": DATA, "names": ["ä", "b"]}, protocol)` with
    /// `DATA = numpy.uint8([[1, 2, 3], [4, 5, 6]])`, of Python 3 and NumPy 2.
    #[test]
    fn what_python_3_writes_is_read() {
        for bytes in [PROTOCOL_3, PROTOCOL_4] {
            let pickle = Pickle::read(bytes).unwrap();
            assert_eq!(pickle.integers("labels").unwrap(), [6, 300, -1]);
            assert_eq!(pickle.rows("data", 3).unwrap(), [1, 2, 3, 4, 5, 6]);
            assert_eq!(pickle.texts("names").unwrap(), ["ä", "b"]);
        }
        // Column by column the same bytes would be other pictures.
        assert!(Pickle::read(COLUMNS).unwrap().rows("data", 3).is_err());
    }

    const PROTOCOL_3: &[u8] =
        b"\x80\x03}q\x00(X\x06\x00\x00\x00labelsq\x01]q\x02(K\x06M,\x01J\xff\xff\xff\xffeX\x04\x00\x00\x00\
          dataq\x03cnumpy._core.multiarray\n_reconstruct\nq\x04cnumpy\nndarray\nq\x05K\x00\x85q\x06C\x01\
          bq\x07\x87q\x08Rq\x09(K\x01K\x02K\x03\x86q\ncnumpy\ndtype\nq\x0bX\x02\x00\x00\x00u1q\x0c\x89\x88\
          \x87q\x0dRq\x0e(K\x03X\x01\x00\x00\x00|q\x0fNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x10b\
          \x89C\x06\x01\x02\x03\x04\x05\x06q\x11tq\x12bX\x05\x00\x00\x00namesq\x13]q\x14(X\x02\x00\x00\x00\
          \xc3\xa4q\x15X\x01\x00\x00\x00bq\x16eu.";
    const PROTOCOL_4: &[u8] =
        b"\x80\x04\x95\xc8\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x06labels\x94]\x94(K\x06M,\x01J\xff\xff\
          \xff\xffe\x8c\x04data\x94\x8c\x16numpy._core.multiarray\x94\x8c\x0c_reconstruct\x94\x93\x94\x8c\
          \x05numpy\x94\x8c\x07ndarray\x94\x93\x94K\x00\x85\x94C\x01b\x94\x87\x94R\x94(K\x01K\x02K\x03\x86\
          \x94h\x07\x8c\x05dtype\x94\x93\x94\x8c\x02u1\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01|\x94NNNJ\xff\
          \xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94b\x89C\x06\x01\x02\x03\x04\x05\x06\x94t\x94b\x8c\x05na\
          mes\x94]\x94(\x8c\x02\xc3\xa4\x94\x8c\x01b\x94eu.";
    const COLUMNS: &[u8] =
        b"\x80\x04\x95\x9b\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x04data\x94\x8c\x16numpy._core.multiarr\
          ay\x94\x8c\x0c_reconstruct\x94\x93\x94\x8c\x05numpy\x94\x8c\x07ndarray\x94\x93\x94K\x00\x85\x94\
          C\x01b\x94\x87\x94R\x94(K\x01K\x02K\x03\x86\x94h\x05\x8c\x05dtype\x94\x93\x94\x8c\x02u1\x94\x89\
          \x88\x87\x94R\x94(K\x03\x8c\x01|\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94b\x88C\x06\
          \x01\x04\x02\x05\x03\x06\x94t\x94bs.";

    /// Some files are built to run a command: `os.system` would be called here by Python.
    #[test]
    fn nothing_is_called_and_nothing_grows() {
        let command = b"\x80\x02}q\x01U\x01acos\nsystem\nU\x04exit\x85Rs.";
        let pickle = Pickle::read(command).unwrap();
        assert_eq!(pickle.entries[&b"a"[..]], Value::Other);
        let why = |bytes: &[u8]| Pickle::read(bytes).unwrap_err();
        assert_eq!(why(b"\x80\x02}]]a"), "a list of other things than texts and numbers at byte 5");
        assert_eq!(why(&b"(".repeat(MOST_WORDS + 1)), format!("it has more than {MOST_WORDS} words"));
        assert_eq!(why(b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f"), "it is cut short at byte 0");
        assert_eq!(why(b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff"), "a number beyond all sizes at byte 0");
        assert_eq!(why(b"}}"), "a word 0x7d, which no such file has, at byte 1");
        assert_eq!(why(b"h\x05"), "it asks for value 5, which was not kept, at byte 0");
        assert_eq!(why(b"K\x01."), "it holds no dictionary");
        assert_eq!(why(b"<html>"), "a word 0x3c, which no such file has, at byte 0");
    }

    #[test]
    fn a_file_cut_short_or_damaged_anywhere_is_refused_or_read_and_never_ends_the_program() {
        let whole = batch();
        for length in 0..whole.len() {
            assert!(Pickle::read(&whole[..length]).is_err(), "{length} bytes");
        }
        for at in 0..whole.len() {
            for value in 0..=u8::MAX {
                let mut changed = whole.clone();
                changed[at] = value;
                if let Ok(pickle) = Pickle::read(&changed) {
                    let _ = (pickle.rows("data", 3), pickle.integers("labels"), pickle.texts("filenames"));
                }
            }
        }
    }
}
