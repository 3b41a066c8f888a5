//! The DARTS form, Python text: `Genotype(normal=[('op', 1), …], normal_concat=range(2, 6), reduce=…, reduce_concat=…)`.
//!
//! Lists and tuples, single and double quotes, `range(a, b)` and lists of states, and a name before (`DARTS_V2 = …`)
//! are read; `range` is written where the states follow each other.

use super::super::Space;
use super::super::genotype::{Choice, Genotype, GenotypeError};
use super::super::hint::did_you_mean;
use super::{FlatGenotype, OUTPUT_SUFFIX, each, edges_of, syntax};

pub(in super::super) fn read(text: &str, space: &Space) -> Result<Genotype, GenotypeError> {
    let mut reader = Reader { text, at: 0 };
    let first = reader.word()?;
    if first != "Genotype" {
        reader.punctuation('=')?;
        let start = reader.skip_blank();
        let name = reader.word()?;
        if name != "Genotype" {
            return Err(syntax(text, start, format!("expected `Genotype`, found `{name}`")));
        }
    }
    reader.punctuation('(')?;
    let mut flat = FlatGenotype::default();
    while !reader.eat(')') {
        let start = reader.skip_blank();
        let field = reader.word()?;
        reader.punctuation('=')?;
        let kind = field.strip_suffix(OUTPUT_SUFFIX).unwrap_or(field);
        if space.cell_kind(kind).is_none() {
            let kinds = space.cell_kinds().iter().map(|kind| kind.name.as_str());
            let fields: Vec<String> =
                kinds.flat_map(|kind| [kind.to_owned(), format!("{kind}{OUTPUT_SUFFIX}")]).collect();
            let mut error = syntax(text, start, format!("unknown field `{field}`"));
            if let GenotypeError::Syntax { hint, .. } = &mut error {
                *hint = Some(did_you_mean(field, fields.iter().map(String::as_str), "the fields are"));
            }
            return Err(error);
        }
        let repeated = if kind == field {
            flat.choices.insert(kind.to_owned(), reader.choices()?).is_some()
        } else {
            flat.outputs.insert(kind.to_owned(), reader.states()?).is_some()
        };
        if repeated {
            return Err(syntax(text, start, format!("`{field}` is there twice")));
        }
        if !reader.eat(',') {
            reader.punctuation(')')?;
            break;
        }
    }
    let end = reader.skip_blank();
    if end < text.len() {
        return Err(syntax(text, end, "expected nothing after the genotype"));
    }
    flat.nest(space)
}

pub(in super::super) fn write(genotype: &Genotype, space: &Space) -> Result<String, GenotypeError> {
    let mut fields = Vec::with_capacity(2 * genotype.cells.len());
    for (kind, cell) in &genotype.cells {
        if cell.nodes.iter().enumerate().any(|(position, choices)| choices.len() != edges_of(position, space)) {
            return Err(GenotypeError::Unwritable { kind: kind.clone(), each: each(space) });
        }
        let choices = cell.nodes.iter().flatten();
        let choices: Vec<String> =
            choices.map(|Choice { operation, source }| format!("('{operation}', {source})")).collect();
        fields.push(format!("{kind}=[{}]", choices.join(", ")));
        fields.push(format!("{kind}{OUTPUT_SUFFIX}={}", write_states(&cell.output)));
    }
    Ok(format!("Genotype({})", fields.join(", ")))
}

fn write_states(states: &[usize]) -> String {
    match (states.first(), states.last()) {
        (Some(&first), Some(&last)) if states.len() > 1 && states.iter().copied().eq(first..=last) => {
            format!("range({first}, {})", last + 1)
        }
        _ => format!("{states:?}"),
    }
}

/// Reads a text from left to right.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_blank(&mut self) -> usize {
        self.at = self.text.len() - self.rest().trim_start().len();
        self.at
    }

    fn error(&self, expected: &str) -> GenotypeError {
        // Enough of the text to find the place.
        let found: String = self.rest().chars().take_while(|c| *c != '\n').take(16).collect();
        let found = if found.is_empty() { "the end".to_owned() } else { format!("`{found}`") };
        syntax(self.text, self.at, format!("expected {expected}, found {found}"))
    }

    fn eat(&mut self, mark: char) -> bool {
        self.skip_blank();
        let found = self.rest().starts_with(mark);
        if found {
            self.at += mark.len_utf8();
        }
        found
    }

    fn punctuation(&mut self, mark: char) -> Result<(), GenotypeError> {
        if self.eat(mark) { Ok(()) } else { Err(self.error(&format!("`{mark}`"))) }
    }

    fn take_while(&mut self, expected: &str, fits: impl Fn(char) -> bool) -> Result<&'a str, GenotypeError> {
        self.skip_blank();
        let rest = self.rest();
        let word = &rest[..rest.find(|c| !fits(c)).unwrap_or(rest.len())];
        if word.is_empty() {
            return Err(self.error(expected));
        }
        self.at += word.len();
        Ok(word)
    }

    fn word(&mut self) -> Result<&'a str, GenotypeError> {
        self.take_while("a name", |c| c.is_alphanumeric() || c == '_')
    }

    fn number(&mut self) -> Result<usize, GenotypeError> {
        let start = self.skip_blank();
        let digits = self.take_while("a state's number", |c| c.is_ascii_digit())?;
        digits.parse().map_err(|_| syntax(self.text, start, format!("`{digits}` is no state")))
    }

    fn quoted(&mut self) -> Result<String, GenotypeError> {
        self.skip_blank();
        let quote = self.rest().chars().next().filter(|c| matches!(c, '\'' | '"'));
        let quote = quote.ok_or_else(|| self.error("an operation in quotes"))?;
        let inner = &self.rest()[1..];
        let end = inner.find([quote, '\n']).filter(|end| inner[*end..].starts_with(quote));
        let end = end.ok_or_else(|| self.error("a closing quote"))?;
        self.at += end + 2;
        Ok(inner[..end].to_owned())
    }

    /// Items between brackets or parentheses, a comma between and perhaps behind.
    fn items<T>(
        &mut self,
        expected: &str,
        mut read: impl FnMut(&mut Self) -> Result<T, GenotypeError>,
    ) -> Result<Vec<T>, GenotypeError> {
        let close = if self.eat('[') {
            ']'
        } else if self.eat('(') {
            ')'
        } else {
            return Err(self.error(expected));
        };
        let mut items = Vec::new();
        while !self.eat(close) {
            items.push(read(self)?);
            if !self.eat(',') {
                self.punctuation(close)?;
                break;
            }
        }
        Ok(items)
    }

    fn choices(&mut self) -> Result<Vec<Choice>, GenotypeError> {
        self.items("a list of operations", |reader| {
            let close = if reader.eat('[') {
                ']'
            } else {
                reader.punctuation('(')?;
                ')'
            };
            let operation = reader.quoted()?;
            reader.punctuation(',')?;
            let source = reader.number()?;
            reader.eat(',');
            reader.punctuation(close)?;
            Ok(Choice { operation, source })
        })
    }

    fn states(&mut self) -> Result<Vec<usize>, GenotypeError> {
        self.skip_blank();
        if !self.rest().starts_with("range") {
            return self.items("a list of states or `range`", Self::number);
        }
        let start = self.at;
        self.at += "range".len();
        self.punctuation('(')?;
        let first = self.number()?;
        self.punctuation(',')?;
        let end = self.number()?;
        self.punctuation(')')?;
        // A cell has few states; a range of millions is a slip, not a cell.
        if end.saturating_sub(first) > 1024 {
            return Err(syntax(self.text, start, "a range of more than 1024 states"));
        }
        Ok((first..end).collect())
    }
}
