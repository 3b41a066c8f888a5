//! Python's literals, each with its place: numbers, texts, lists, dictionaries, and the calls that
//! stand for such.
//!
//! What a genotype is printed as, and what a file of genotypes is written in. No expression is
//! computed. `range(2, 6)` is read as the numbers that it gives, `list(…)`, `np.int64(…)`,
//! `OrderedDict(…)` and the like as what they hold; any other call is kept with its name and its
//! arguments.

use crate::space::genotype::GenotypeError;

/// A line and a column, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub line: usize,
    pub column: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value {
    pub place: Place,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    None,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    /// A list, a tuple or a set.
    Sequence(Vec<Value>),
    Dictionary(Vec<(Value, Value)>),
    Call {
        name: String,
        arguments: Vec<Value>,
        named: Vec<(Name, Value)>,
    },
}

/// The name of an argument.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Name {
    pub place: Place,
    pub text: String,
}

/// Brackets within brackets; a genotype has five.
const DEEPEST: usize = 32;

/// A cell has few states; a range of millions is a slip, not a cell.
const LONGEST_RANGE: i64 = 1024;

impl Place {
    /// Of byte `at` of `text`.
    pub fn of(text: &str, at: usize) -> Self {
        let before = &text[..at];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Self { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }

    /// What is wrong there.
    pub fn error(self, message: impl Into<String>) -> GenotypeError {
        GenotypeError::Syntax { line: self.line, column: self.column, message: message.into(), hint: None }
    }
}

impl Value {
    /// Reads the value that begins at byte `at` of `text`; and where it ends.
    pub fn read(text: &str, at: usize) -> Result<(Self, usize), GenotypeError> {
        let mut reader = Reader { text, at, place: Place::of(text, at) };
        let value = reader.value(0)?;
        Ok((value, reader.at))
    }

    /// Reads a text that is one value.
    pub fn whole(text: &str) -> Result<Self, GenotypeError> {
        let mut reader = Reader { text, at: 0, place: Place { line: 1, column: 1 } };
        let value = reader.value(0)?;
        reader.skip_blank();
        if reader.at < text.len() { Err(reader.place.error("expected nothing after the genotype")) } else { Ok(value) }
    }

    /// In words: ``the name `x` ``, `a list`.
    pub fn described(&self) -> String {
        match &self.kind {
            Kind::None => "`None`".to_owned(),
            Kind::Bool(true) => "`True`".to_owned(),
            Kind::Bool(false) => "`False`".to_owned(),
            Kind::Integer(number) => format!("`{number}`"),
            Kind::Float(number) => format!("`{number}`"),
            Kind::Text(text) => format!("`{text}`"),
            Kind::Sequence(_) => "a list".to_owned(),
            Kind::Dictionary(_) => "a dictionary".to_owned(),
            Kind::Call { name, .. } => format!("`{name}(…)`"),
        }
    }

    /// Whether it is a dictionary with that key.
    pub fn has(&self, key: &str) -> bool {
        matches!(&self.kind, Kind::Dictionary(pairs) if pairs.iter().any(|(name, _)| name.as_text() == Some(key)))
    }

    pub fn as_text(&self) -> Option<&str> {
        if let Kind::Text(text) = &self.kind { Some(text) } else { None }
    }

    pub fn as_sequence(&self) -> Option<&[Value]> {
        if let Kind::Sequence(items) = &self.kind { Some(items) } else { None }
    }

    pub fn as_count(&self) -> Option<usize> {
        if let Kind::Integer(number) = self.kind { usize::try_from(number).ok() } else { None }
    }

    /// Nothing, as a field has it that is not used.
    pub fn says_nothing(&self) -> bool {
        match &self.kind {
            Kind::None | Kind::Bool(false) => true,
            Kind::Sequence(items) => items.is_empty(),
            Kind::Dictionary(items) => items.is_empty(),
            Kind::Text(text) => text.is_empty(),
            _ => false,
        }
    }
}

/// Reads a text from left to right.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    place: Place,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Passes over `length` bytes, in which lines may end.
    fn advance(&mut self, length: usize) {
        let passed = &self.text[self.at..self.at + length];
        let Place { line, column } = self.place;
        self.place = match passed.rsplit_once('\n') {
            Some((_, behind)) => {
                Place { line: line + passed.matches('\n').count(), column: 1 + behind.chars().count() }
            }
            None => Place { line, column: column + passed.chars().count() },
        };
        self.at += length;
    }

    /// Blanks, ends of lines, comments, and the mark of a line that goes on.
    fn skip_blank(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            let length = match rest[blank..].chars().next() {
                Some('#') => blank + rest[blank..].find('\n').unwrap_or(rest.len() - blank),
                Some('\\') if rest[blank + 1..].starts_with('\n') => blank + 2,
                _ => return self.advance(blank),
            };
            self.advance(length);
        }
    }

    fn error(&self, expected: &str) -> GenotypeError {
        // Enough of the text to find the place.
        let found: String = self.rest().chars().take_while(|c| *c != '\n').take(16).collect();
        let found = if found.is_empty() { "the end".to_owned() } else { format!("`{found}`") };
        self.place.error(format!("expected {expected}, found {found}"))
    }

    fn eat(&mut self, mark: char) -> bool {
        self.skip_blank();
        let found = self.peek() == Some(mark);
        if found {
            self.advance(mark.len_utf8());
        }
        found
    }

    fn mark(&mut self, mark: char) -> Result<(), GenotypeError> {
        if self.eat(mark) { Ok(()) } else { Err(self.error(&format!("`{mark}`"))) }
    }

    fn value(&mut self, depth: usize) -> Result<Value, GenotypeError> {
        self.skip_blank();
        let place = self.place;
        if depth > DEEPEST {
            return Err(place.error(format!("brackets nest deeper than {DEEPEST}")));
        }
        let kind = match self.peek() {
            Some('[') => Kind::Sequence(self.items('[', ']', depth)?.0),
            Some('(') => match self.items('(', ')', depth)? {
                // One value in parentheses is that value.
                (mut items, false) if items.len() == 1 => return Ok(items.remove(0)),
                (items, _) => Kind::Sequence(items),
            },
            Some('{') => self.braces(depth)?,
            Some('\'' | '"') => Kind::Text(self.texts()?),
            Some('+' | '-' | '.' | '0'..='9') => self.number()?,
            Some(letter) if is_of_name(letter) => self.named(depth)?,
            _ => return Err(self.error("a value")),
        };
        Ok(Value { place, kind })
    }

    /// Values between two marks, a comma between; and whether a comma stands behind one.
    fn items(&mut self, open: char, close: char, depth: usize) -> Result<(Vec<Value>, bool), GenotypeError> {
        self.mark(open)?;
        let (mut items, mut commas) = (Vec::new(), false);
        while !self.eat(close) {
            items.push(self.value(depth + 1)?);
            if !self.eat(',') {
                self.mark(close)?;
                break;
            }
            commas = true;
        }
        Ok((items, commas))
    }

    /// A dictionary or a set.
    fn braces(&mut self, depth: usize) -> Result<Kind, GenotypeError> {
        self.mark('{')?;
        let (mut pairs, mut items) = (Vec::new(), Vec::new());
        while !self.eat('}') {
            let first = self.value(depth + 1)?;
            if items.is_empty() && self.eat(':') {
                pairs.push((first, self.value(depth + 1)?));
            } else if pairs.is_empty() {
                items.push(first);
            } else {
                return Err(self.error("`:`"));
            }
            if !self.eat(',') {
                self.mark('}')?;
                break;
            }
        }
        Ok(if items.is_empty() { Kind::Dictionary(pairs) } else { Kind::Sequence(items) })
    }

    /// A text, and those that follow it at once, which Python joins.
    fn texts(&mut self) -> Result<String, GenotypeError> {
        let mut text = self.quoted(Escapes::Read)?;
        loop {
            self.skip_blank();
            match self.peek() {
                Some('\'' | '"') => text.push_str(&self.quoted(Escapes::Read)?),
                _ => return Ok(text),
            }
        }
    }

    fn quoted(&mut self, escapes: Escapes) -> Result<String, GenotypeError> {
        let start = self.place;
        let quote = self.peek().ok_or_else(|| self.error("a text in quotes"))?;
        let triple = self.rest().starts_with(&String::from_iter([quote; 3]));
        let mark = String::from_iter(vec![quote; if triple { 3 } else { 1 }]);
        self.advance(mark.len());
        let mut text = String::new();
        loop {
            let rest = self.rest();
            if rest.starts_with(&mark) {
                self.advance(mark.len());
                return Ok(text);
            }
            match rest.chars().next() {
                None => return Err(start.error("a text has no closing quote")),
                Some('\n') if !triple => return Err(start.error("a text has no closing quote")),
                Some('\\') if escapes == Escapes::Read => text.extend(self.escaped()),
                Some(letter) => {
                    text.push(letter);
                    self.advance(letter.len_utf8());
                }
            }
        }
    }

    /// What stands for a letter behind a backslash; nothing where it only joins two lines.
    fn escaped(&mut self) -> Option<char> {
        let rest = self.rest();
        let letter = rest[1..].chars().next();
        let code = |digits: usize| {
            let hexadecimal = rest.get(2..2 + digits)?;
            char::from_u32(u32::from_str_radix(hexadecimal, 16).ok()?)
        };
        let (read, length) = match letter {
            Some('\n') => (None, 2),
            Some('n') => (Some('\n'), 2),
            Some('t') => (Some('\t'), 2),
            Some(mark @ ('\\' | '\'' | '"' | '/')) => (Some(mark), 2),
            Some('x') if code(2).is_some() => (code(2), 4),
            Some('u') if code(4).is_some() => (code(4), 6),
            // As Python leaves it.
            _ => (Some('\\'), 1),
        };
        self.advance(length);
        read
    }

    fn number(&mut self) -> Result<Kind, GenotypeError> {
        let place = self.place;
        let rest = self.rest();
        let part = |(at, letter): (usize, char)| {
            let signed = at > 0 && rest[..at].ends_with(['e', 'E']);
            letter.is_ascii_alphanumeric() || "._".contains(letter) || ("+-".contains(letter) && (at == 0 || signed))
        };
        let length = rest.char_indices().find(|found| !part(*found)).map_or(rest.len(), |(at, _)| at);
        let word = &rest[..length];
        self.advance(length);
        let digits = word.replace('_', "");
        let whole = digits.parse().map(Kind::Integer);
        let kind = whole.or_else(|_| digits.parse().map(Kind::Float));
        kind.map_err(|_| place.error(format!("`{word}` is no number")))
    }

    /// A name: one that is a value, a call, or letters that stand before a text.
    fn named(&mut self, depth: usize) -> Result<Kind, GenotypeError> {
        let place = self.place;
        let rest = self.rest();
        let name = &rest[..rest.find(|letter| !(is_of_name(letter) || letter == '.')).unwrap_or(rest.len())];
        self.advance(name.len());
        match (name, self.peek()) {
            ("None" | "null", _) => return Ok(Kind::None),
            ("True" | "true", _) => return Ok(Kind::Bool(true)),
            ("False" | "false", _) => return Ok(Kind::Bool(false)),
            ("nan" | "inf", _) => return Ok(Kind::Float(f64::NAN)),
            ("r" | "R", Some('\'' | '"')) => return self.quoted(Escapes::Keep).map(Kind::Text),
            ("u" | "b" | "U" | "B", Some('\'' | '"')) => return self.texts().map(Kind::Text),
            _ => {}
        }
        if !self.eat('(') {
            return Err(place.error(format!("`{name}` is a name, not a value")));
        }
        let (mut arguments, mut named) = (Vec::new(), Vec::new());
        while !self.eat(')') {
            match self.argument() {
                Some(name) => named.push((name, self.value(depth + 1)?)),
                None => arguments.push(self.value(depth + 1)?),
            }
            if !self.eat(',') {
                self.mark(')')?;
                break;
            }
        }
        called(place, name, arguments, named)
    }

    /// The name of an argument, where one and `=` are next.
    fn argument(&mut self) -> Option<Name> {
        self.skip_blank();
        let (place, rest) = (self.place, self.rest());
        let text = &rest[..rest.find(|letter| !is_of_name(letter)).unwrap_or(rest.len())];
        let behind = rest[text.len()..].trim_start();
        if text.is_empty() || !behind.starts_with('=') || behind.starts_with("==") {
            return None;
        }
        self.advance(rest.len() - behind.len() + 1);
        Some(Name { place, text: text.to_owned() })
    }
}

/// Whether a backslash means something in a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Read,
    Keep,
}

fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// What a call is read as.
fn called(
    place: Place,
    name: &str,
    mut arguments: Vec<Value>,
    named: Vec<(Name, Value)>,
) -> Result<Kind, GenotypeError> {
    // `np.int64` as `int64`.
    let last = name.rsplit('.').next().unwrap_or(name);
    let is_number = ["int", "uint", "float", "str", "bool"].iter().any(|kind| last.starts_with(kind));
    match last {
        "range" => range(place, &arguments),
        "list" | "tuple" | "set" | "frozenset" if arguments.is_empty() => Ok(Kind::Sequence(Vec::new())),
        "list" | "tuple" | "set" | "frozenset" | "array" | "tensor" if arguments.len() == 1 => {
            Ok(arguments.remove(0).kind)
        }
        _ if is_number && arguments.len() == 1 => Ok(arguments.remove(0).kind),
        "dict" | "OrderedDict" | "defaultdict" => {
            let mut pairs = Vec::new();
            for argument in arguments {
                match argument.kind {
                    Kind::Dictionary(items) => pairs.extend(items),
                    Kind::Sequence(items) => {
                        for item in items {
                            match item.kind {
                                Kind::Sequence(pair) => {
                                    let pair: Result<[Value; 2], _> = pair.try_into();
                                    let [key, value] =
                                        pair.map_err(|_| item.place.error("expected a key and its value"))?;
                                    pairs.push((key, value));
                                }
                                _ => return Err(item.place.error("expected a key and its value")),
                            }
                        }
                    }
                    // What a missing key would get.
                    _ => {}
                }
            }
            pairs.extend(
                named.into_iter().map(|(Name { place, text }, value)| (Value { place, kind: Kind::Text(text) }, value)),
            );
            Ok(Kind::Dictionary(pairs))
        }
        _ => Ok(Kind::Call { name: name.to_owned(), arguments, named }),
    }
}

fn range(place: Place, arguments: &[Value]) -> Result<Kind, GenotypeError> {
    let numbers = arguments.iter().map(|argument| match argument.kind {
        Kind::Integer(number) => Ok(number),
        _ => Err(argument.place.error("a range has whole numbers")),
    });
    let numbers = numbers.collect::<Result<Vec<i64>, _>>()?;
    let (first, end, step) = match numbers[..] {
        [end] => (0, end, 1),
        [first, end] => (first, end, 1),
        [first, end, step] if step > 0 => (first, end, step),
        _ => return Err(place.error("expected `range(first, end)`")),
    };
    if end.saturating_sub(first) > LONGEST_RANGE {
        return Err(place.error(format!("a range of more than {LONGEST_RANGE} states")));
    }
    let step = usize::try_from(step).map_err(|_| place.error("a range's step is too large"))?;
    let numbers = (first..end).step_by(step).map(|number| Value { place, kind: Kind::Integer(number) });
    Ok(Kind::Sequence(numbers.collect()))
}

#[cfg(test)]
mod tests;
