//! Python's pickles, read as what they say and not as what they would do: no call is made.
//!
//! A pickle is a program for a machine with a stack, whose calls make objects. Here a call is kept
//! as an [`Object::Made`] with its callable and its arguments, and [`super::checkpoint`] looks for
//! those that it knows. So what lies beside tensors, an optimiser or whatever class a program has,
//! is passed over and refuses nothing.

use std::collections::HashMap;

/// The place of an object among all of a pickle's.
pub(super) type Id = usize;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Object {
    None,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// A tuple, a list or a set.
    Sequence(Vec<Id>),
    Dictionary(Vec<(Id, Id)>),
    /// `module.name`
    Global(String),
    /// What is kept outside of the pickle, by what it is called there.
    Persistent(Id),
    Made(Made),
}

/// What a call makes of its arguments, and what is put into it afterwards.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Made {
    pub callable: Id,
    pub arguments: Id,
    /// As `__setstate__` gets it.
    pub state: Option<Id>,
    pub entries: Vec<(Id, Id)>,
    pub items: Vec<Id>,
}

#[derive(Debug)]
pub(super) struct Pickle {
    objects: Vec<Object>,
    pub root: Id,
}

/// Bytes that are no pickle.
#[derive(Debug, thiserror::Error)]
#[error("byte {at} of its pickle: {what}")]
pub struct PickleError {
    at: usize,
    what: String,
}

/// A network's own file has some thousands. Two bytes can make an object, of which each takes a
/// hundred.
const MOST_OBJECTS: usize = 1_000_000;

impl Pickle {
    /// Reads the pickle that `bytes` begin with, and how long it is.
    pub fn read(bytes: &[u8]) -> Result<(Self, usize), PickleError> {
        let mut machine =
            Machine { bytes, at: 0, objects: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
        loop {
            let at = machine.at;
            match machine.step() {
                Ok(None) => {}
                Ok(Some(root)) => return Ok((Self { objects: machine.objects, root }, machine.at)),
                Err(what) => return Err(PickleError { at, what }),
            }
        }
    }

    pub fn get(&self, id: Id) -> &Object {
        &self.objects[id]
    }

    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.iter()
    }

    pub fn text(&self, id: Id) -> Option<&str> {
        if let Object::Text(text) = self.get(id) { Some(text) } else { None }
    }

    pub fn count(&self, id: Id) -> Option<usize> {
        if let Object::Integer(number) = self.get(id) { usize::try_from(*number).ok() } else { None }
    }

    pub fn sequence(&self, id: Id) -> Option<&[Id]> {
        if let Object::Sequence(items) = self.get(id) { Some(items) } else { None }
    }

    /// Numbers that are none below zero, as shapes are.
    pub fn counts(&self, id: Id) -> Option<Vec<usize>> {
        self.sequence(id)?.iter().map(|item| self.count(*item)).collect()
    }

    /// A number or a text, as PyTorch calls a storage.
    pub fn key(&self, id: Id) -> Option<String> {
        match self.get(id) {
            Object::Text(text) => Some(text.clone()),
            Object::Integer(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// The name of a class or a function.
    pub fn global(&self, id: Id) -> Option<&str> {
        if let Object::Global(name) = self.get(id) { Some(name) } else { None }
    }

    /// Of a dictionary of any class.
    pub fn entries(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.get(id) {
            Object::Dictionary(entries) => Some(entries),
            Object::Made(made) => Some(&made.entries),
            _ => None,
        }
    }

    /// The value of a text's entry.
    pub fn entry(&self, id: Id, name: &str) -> Option<Id> {
        self.entries(id)?.iter().rfind(|(key, _)| self.text(*key) == Some(name)).map(|(_, value)| *value)
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    objects: Vec<Object>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

type Step<T> = Result<T, String>;

impl<'a> Machine<'a> {
    fn take(&mut self, length: usize) -> Step<&'a [u8]> {
        let end =
            self.at.checked_add(length).filter(|end| *end <= self.bytes.len()).ok_or("the file ends within it")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Step<usize> {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(self.take(N)?);
        usize::try_from(u64::from_le_bytes(wide)).map_err(|_| "a length is too large".to_owned())
    }

    fn line(&mut self) -> Step<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or("the file ends within it")?;
        self.at += end + 1;
        Ok(rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]))
    }

    fn text_line(&mut self) -> Step<&'a str> {
        std::str::from_utf8(self.line()?).map_err(|_| "a name is not UTF-8".to_owned())
    }

    fn make(&mut self, object: Object) -> Step<Id> {
        if self.objects.len() == MOST_OBJECTS {
            return Err(format!("it has more than {MOST_OBJECTS} objects"));
        }
        self.objects.push(object);
        Ok(self.objects.len() - 1)
    }

    fn push(&mut self, object: Object) -> Step<()> {
        let id = self.make(object)?;
        self.stack.push(id);
        Ok(())
    }

    fn pop(&mut self) -> Step<Id> {
        self.stack.pop().ok_or_else(|| "its stack is empty".to_owned())
    }

    fn top(&self) -> Step<Id> {
        self.stack.last().copied().ok_or_else(|| "its stack is empty".to_owned())
    }

    /// What lies above the last mark.
    fn marked(&mut self) -> Step<Vec<Id>> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len()).ok_or("a mark is missing")?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, length: usize) -> Step<()> {
        let from = self.stack.len().checked_sub(length).ok_or("its stack is empty")?;
        let items = self.stack.split_off(from);
        self.push(Object::Sequence(items))
    }

    fn call(&mut self, callable: Id, arguments: Id) -> Step<()> {
        self.push(Object::Made(Made { callable, arguments, state: None, entries: Vec::new(), items: Vec::new() }))
    }

    fn append(&mut self, items: &[Id]) -> Step<()> {
        let top = self.top()?;
        match &mut self.objects[top] {
            Object::Sequence(held) => held.extend_from_slice(items),
            Object::Made(made) => made.items.extend_from_slice(items),
            _ => return Err("it appends to what is no list".to_owned()),
        }
        Ok(())
    }

    fn set(&mut self, pairs: &[Id]) -> Step<()> {
        let top = self.top()?;
        let (pairs, rest) = pairs.as_chunks();
        let held = match &mut self.objects[top] {
            Object::Dictionary(held) => held,
            Object::Made(made) => &mut made.entries,
            _ => return Err("it sets an entry of what is no dictionary".to_owned()),
        };
        held.extend(pairs.iter().map(|[key, value]| (*key, *value)));
        if rest.is_empty() { Ok(()) } else { Err("a key has no value".to_owned()) }
    }

    /// A dictionary of what lies above the last mark.
    fn dictionary(&mut self) -> Step<()> {
        let pairs = self.marked()?;
        self.push(Object::Dictionary(Vec::new()))?;
        self.set(&pairs)
    }

    fn remember(&mut self, place: usize) -> Step<()> {
        let (place, top) = (u32::try_from(place).map_err(|_| "a memo's place is too large")?, self.top()?);
        self.memo.insert(place, top);
        Ok(())
    }

    fn recall(&mut self, place: usize) -> Step<()> {
        let id =
            u32::try_from(place).ok().and_then(|place| self.memo.get(&place)).ok_or("it recalls what was not kept")?;
        self.stack.push(*id);
        Ok(())
    }

    fn place(&mut self) -> Step<usize> {
        self.text_line()?.parse().map_err(|_| "a memo's place is no number".to_owned())
    }

    fn unicode(&mut self, length: usize) -> Step<()> {
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| "a text is not UTF-8")?;
        self.push(Object::Text(text.to_owned()))
    }

    /// A text of Python 2, which holds bytes too.
    fn string(&mut self, bytes: &[u8]) -> Step<()> {
        let text = std::str::from_utf8(bytes).map(|text| Object::Text(text.to_owned()));
        self.push(text.unwrap_or_else(|_| Object::Bytes(bytes.to_vec())))
    }

    /// A whole number in as many bytes as it needs. One that is too large is none that is looked at
    /// here.
    fn long(&mut self, length: usize) -> Step<()> {
        let bytes = self.take(length)?;
        let fill = if bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 };
        let mut wide = [fill; 8];
        let narrow = bytes.len().min(8);
        wide[..narrow].copy_from_slice(&bytes[..narrow]);
        let fits =
            bytes[narrow..].iter().all(|byte| *byte == fill) && (bytes.len() <= 8 || (wide[7] ^ fill) & 0x80 == 0);
        self.push(if fits { Object::Integer(i64::from_le_bytes(wide)) } else { Object::None })
    }

    /// Does what the next byte says; gives the root at the end.
    fn step(&mut self) -> Step<Option<Id>> {
        let operation = self.take(1)?[0];
        match operation {
            b'.' => return self.pop().map(Some),
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            // The stack.
            b'(' => self.marks.push(self.stack.len()),
            b'0' if self.marks.last() == Some(&self.stack.len()) => drop(self.marks.pop()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.marked()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            // Numbers.
            b'N' => self.push(Object::None)?,
            0x88 => self.push(Object::Bool(true))?,
            0x89 => self.push(Object::Bool(false))?,
            b'I' | b'L' => {
                let line = self.text_line()?;
                let number = line.trim_end_matches('L').parse().map(Object::Integer).unwrap_or(Object::None);
                self.push(match line {
                    "00" => Object::Bool(false),
                    "01" => Object::Bool(true),
                    _ => number,
                })?;
            }
            b'F' => {
                let number = self.text_line()?.parse().map_err(|_| "a number is none")?;
                self.push(Object::Float(number))?;
            }
            b'J' => {
                let four = self.take(4)?.try_into().map_err(|_| "a number is short")?;
                self.push(Object::Integer(i32::from_le_bytes(four).into()))?;
            }
            b'K' | b'M' => {
                let number = if operation == b'K' { self.number::<1>()? } else { self.number::<2>()? };
                self.push(Object::Integer(i64::try_from(number).map_err(|_| "a number is too large")?))?;
            }
            0x8a => {
                let length = self.number::<1>()?;
                self.long(length)?;
            }
            0x8b => {
                let length = self.number::<4>()?;
                self.long(length)?;
            }
            b'G' => {
                let eight = self.take(8)?.try_into().map_err(|_| "a number is short")?;
                self.push(Object::Float(f64::from_be_bytes(eight)))?;
            }
            // Texts and bytes.
            b'S' => {
                let line = self.line()?;
                let quoted = line.len() >= 2 && matches!(line[0], b'\'' | b'"') && line.last() == line.first();
                self.string(if quoted { &line[1..line.len() - 1] } else { line })?;
            }
            b'V' => {
                let line = self.line()?;
                self.push(Object::Text(raw_unicode(line)))?;
            }
            b'U' | b'T' => {
                let length = if operation == b'U' { self.number::<1>()? } else { self.number::<4>()? };
                let bytes = self.take(length)?;
                self.string(bytes)?;
            }
            b'X' | 0x8c | 0x8d => {
                let length = match operation {
                    b'X' => self.number::<4>()?,
                    0x8c => self.number::<1>()?,
                    _ => self.number::<8>()?,
                };
                self.unicode(length)?;
            }
            b'B' | b'C' | 0x8e | 0x96 => {
                let length = match operation {
                    b'B' => self.number::<4>()?,
                    b'C' => self.number::<1>()?,
                    _ => self.number::<8>()?,
                };
                let bytes = self.take(length)?.to_vec();
                self.push(Object::Bytes(bytes))?;
            }
            // Containers.
            b')' | b']' | 0x8f => self.push(Object::Sequence(Vec::new()))?,
            b't' | b'l' | 0x91 => {
                let items = self.marked()?;
                self.push(Object::Sequence(items))?;
            }
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' | 0x90 => {
                let items = self.marked()?;
                self.append(&items)?;
            }
            b'}' => self.push(Object::Dictionary(Vec::new()))?,
            b'd' => self.dictionary()?,
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let pairs = self.marked()?;
                self.set(&pairs)?;
            }
            // The memo.
            b'g' => {
                let place = self.place()?;
                self.recall(place)?;
            }
            b'h' => {
                let place = self.number::<1>()?;
                self.recall(place)?;
            }
            b'j' => {
                let place = self.number::<4>()?;
                self.recall(place)?;
            }
            b'p' => {
                let place = self.place()?;
                self.remember(place)?;
            }
            b'q' => {
                let place = self.number::<1>()?;
                self.remember(place)?;
            }
            b'r' => {
                let place = self.number::<4>()?;
                self.remember(place)?;
            }
            0x94 => self.remember(self.memo.len())?,
            // Objects.
            b'c' => {
                let name = format!("{}.{}", self.text_line()?, self.text_line()?);
                self.push(Object::Global(name))?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Object::Text(name), Object::Text(module)) = (&self.objects[name], &self.objects[module]) else {
                    return Err("a name is no text".to_owned());
                };
                let name = format!("{module}.{name}");
                self.push(Object::Global(name))?;
            }
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                self.call(callable, arguments)?;
            }
            0x92 => {
                let (_, arguments, callable) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(callable, arguments)?;
            }
            b'i' => {
                let name = format!("{}.{}", self.text_line()?, self.text_line()?);
                let arguments = self.marked()?;
                let (callable, arguments) = (self.make(Object::Global(name))?, self.make(Object::Sequence(arguments))?);
                self.call(callable, arguments)?;
            }
            b'o' => {
                let marked = self.marked()?;
                let (callable, arguments) = marked.split_first().ok_or("a class is missing")?;
                let arguments = self.make(Object::Sequence(arguments.to_vec()))?;
                self.call(*callable, arguments)?;
            }
            b'b' => {
                let (state, top) = (self.pop()?, self.top()?);
                if let Object::Made(made) = &mut self.objects[top] {
                    made.state = Some(state);
                }
            }
            b'P' => {
                let name = self.text_line()?.to_owned();
                let name = self.make(Object::Text(name))?;
                self.push(Object::Persistent(name))?;
            }
            b'Q' => {
                let name = self.pop()?;
                self.push(Object::Persistent(name))?;
            }
            other => return Err(format!("no operation has the code {other:#04x}")),
        }
        Ok(None)
    }
}

/// Latin letters, and `\u` with the number of any other.
fn raw_unicode(line: &[u8]) -> String {
    let mut text = String::with_capacity(line.len());
    let mut at = 0;
    while at < line.len() {
        let digits = match line[at..] {
            [b'\\', b'u', ..] => 4,
            [b'\\', b'U', ..] => 8,
            _ => 0,
        };
        let code = line.get(at + 2..at + 2 + digits).filter(|code| !code.is_empty());
        let code = code.and_then(|code| u32::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        match code.and_then(char::from_u32) {
            Some(letter) => {
                text.push(letter);
                at += 2 + digits;
            }
            None => {
                text.push(char::from(line[at]));
                at += 1;
            }
        }
    }
    text
}
