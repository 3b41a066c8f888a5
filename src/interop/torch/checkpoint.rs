//! The tensors of a pickled object, each by the path to it: `state_dict.stem.0.weight`.
//!
//! Dictionaries of any class and lists are gone into, and a module, saved as a whole, as its
//! `state_dict()` would name what it has. Other objects are passed over with all that they hold:
//! optimisers, schedulers, arguments of a program.

use super::super::stored_tensor::{BARE, Element};
use super::pickle::{Id, Made, Object, Pickle};
use std::collections::BTreeMap;

/// A tensor without its numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub element: Element,
    pub shape: Vec<usize>,
    pub numbers: Place,
}

/// Where a tensor's numbers are.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Place {
    /// In a storage beside the pickle; offset and strides count elements.
    Storage { key: String, offset: usize, strides: Vec<usize> },
    /// In the pickle itself, as NumPy has them, row by row or column by column.
    Inline { bytes: Vec<u8>, big_endian: bool, columns_first: bool },
}

/// A storage that the pickle names.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Storage {
    pub key: String,
    /// Absent where the tensors on it say it.
    pub element: Option<Element>,
    /// Where a view of it begins.
    offset: usize,
}

/// An object can be held by many: a path is gone into so often, and so deep.
const MOST_STEPS: usize = 1_000_000;
const DEEPEST: usize = 100;

/// Storages are pickled as `('storage', class, key, device, length)`, and a view of one with
/// `(key, offset, length)` behind.
pub(super) fn storage(pickle: &Pickle, name: Id) -> Option<Storage> {
    let fields = pickle.sequence(name)?;
    let [tag, class, key, _, _, view @ ..] = fields else { return None };
    if pickle.text(*tag) != Some("storage") {
        return None;
    }
    let class = pickle.global(*class).or_else(|| pickle.text(*class))?;
    let element = Element::of_storage(class.rsplit('.').next().unwrap_or(class));
    let view = view.first().and_then(|view| pickle.sequence(*view));
    let offset = view.and_then(|view| pickle.count(*view.get(1)?)).unwrap_or(0);
    Some(Storage { key: pickle.key(*key)?, element, offset })
}

/// Every tensor that the pickle's object holds; or what cannot be read.
pub(super) fn tensors(pickle: &Pickle) -> Result<BTreeMap<String, Found>, String> {
    let mut walk = Walk { pickle, path: Vec::new(), on_path: Vec::new(), found: BTreeMap::new(), steps: 0 };
    walk.visit(pickle.root)?;
    Ok(walk.found)
}

struct Walk<'a> {
    pickle: &'a Pickle,
    path: Vec<String>,
    /// Objects that hold each other would be gone into for ever.
    on_path: Vec<Id>,
    found: BTreeMap<String, Found>,
    steps: usize,
}

impl Walk<'_> {
    fn visit(&mut self, id: Id) -> Result<(), String> {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err(format!("its objects are held by each other more than {MOST_STEPS} times"));
        }
        if self.on_path.contains(&id) || self.on_path.len() == DEEPEST {
            return Ok(());
        }
        self.on_path.push(id);
        let visited = match self.pickle.get(id) {
            Object::Dictionary(entries) => self.entries(entries),
            Object::Sequence(items) => self.items(items),
            Object::Made(made) => self.made(made),
            _ => Ok(()),
        };
        self.on_path.pop();
        visited
    }

    fn entries(&mut self, entries: &[(Id, Id)]) -> Result<(), String> {
        for (key, value) in entries {
            // What is kept under an object has no name.
            if let Some(key) = self.pickle.key(*key) {
                self.below(key, *value)?;
            }
        }
        Ok(())
    }

    fn items(&mut self, items: &[Id]) -> Result<(), String> {
        for (at, item) in items.iter().enumerate() {
            self.below(at.to_string(), *item)?;
        }
        Ok(())
    }

    fn below(&mut self, name: String, id: Id) -> Result<(), String> {
        self.path.push(name);
        let visited = self.visit(id);
        self.path.pop();
        visited
    }

    fn made(&mut self, made: &Made) -> Result<(), String> {
        let pickle = self.pickle;
        let arguments = pickle.sequence(made.arguments).unwrap_or_default();
        let callable = pickle.global(made.callable).unwrap_or_default();
        let tensor = match callable {
            // A parameter is a tensor with something beside it.
            "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state" => {
                return arguments.first().map_or(Ok(()), |tensor| self.visit(*tensor));
            }
            "torch._tensor._rebuild_from_type_v2" => match arguments {
                [callable, _, arguments, ..] => {
                    let (callable, arguments) = (*callable, *arguments);
                    return self.made(&Made {
                        callable,
                        arguments,
                        state: None,
                        entries: Vec::new(),
                        items: Vec::new(),
                    });
                }
                _ => None,
            },
            "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2" => rebuilt(pickle, arguments, None),
            "torch._utils._rebuild_tensor_v3" => {
                let element = arguments.get(6).and_then(|class| Element::of_torch(pickle.global(*class)?));
                element.and_then(|element| rebuilt(pickle, arguments, Some(element)))
            }
            "numpy.core.multiarray._reconstruct" | "numpy._core.multiarray._reconstruct" => {
                // The state is `(version, shape, type, columns first, bytes)`.
                match made.state.and_then(|state| pickle.sequence(state)) {
                    Some([_, shape, kind, columns_first, bytes]) => {
                        array(pickle, *bytes, *kind, *shape, *pickle.get(*columns_first) == Object::Bool(true))
                    }
                    _ => None,
                }
            }
            "numpy.core.numeric._frombuffer" | "numpy._core.numeric._frombuffer" => match arguments {
                [bytes, kind, shape, order] => array(pickle, *bytes, *kind, *shape, pickle.text(*order) == Some("F")),
                _ => None,
            },
            other if other.starts_with("torch._utils._rebuild_") => None,
            "collections.OrderedDict" if made.entries.is_empty() => {
                // Before Python 3 it was made of its entries.
                let pairs = arguments.first().and_then(|pairs| pickle.sequence(*pairs)).unwrap_or_default();
                let pair = |pair: &Id| Some((*pickle.sequence(*pair)?.first()?, *pickle.sequence(*pair)?.get(1)?));
                return self.entries(&pairs.iter().filter_map(pair).collect::<Vec<_>>());
            }
            _ => return self.object(made, callable),
        };
        let name = if self.path.is_empty() { BARE.to_owned() } else { self.path.join(".") };
        match tensor {
            Some(tensor) => drop(self.found.insert(name, tensor)),
            None => return Err(format!("`{name}` is `{callable}`, a kind of tensor that is not read here")),
        }
        Ok(())
    }

    /// A dictionary or a list of a class of its own, or a module.
    fn object(&mut self, made: &Made, class: &str) -> Result<(), String> {
        self.entries(&made.entries)?;
        self.items(&made.items)?;
        let Some(state) = made.state else { return Ok(()) };
        let tables = ["_parameters", "_buffers", "_modules"].map(|table| self.pickle.entry(state, table));
        if let [Some(parameters), Some(buffers), Some(modules)] = tables {
            // Buffers that a module does not save.
            let unsaved = self.pickle.entry(state, "_non_persistent_buffers_set");
            let unsaved = unsaved.and_then(|names| self.names(names)).unwrap_or_default();
            self.visit(parameters)?;
            let is_saved = |key: Id| !unsaved.iter().any(|name| self.pickle.text(key) == Some(name));
            let buffers = self.pickle.entries(buffers).unwrap_or_default().iter().copied();
            self.entries(&buffers.filter(|(key, _)| is_saved(*key)).collect::<Vec<_>>())?;
            return self.visit(modules);
        }
        // A program of TorchScript has its parameters and its parts side by side.
        if class.starts_with("__torch__.") { self.visit(state) } else { Ok(()) }
    }

    fn names(&self, id: Id) -> Option<Vec<String>> {
        let items = match self.pickle.get(id) {
            Object::Sequence(items) => items.as_slice(),
            // `set([…])`, as older protocols write it.
            Object::Made(made) => self.pickle.sequence(*self.pickle.sequence(made.arguments)?.first()?)?,
            _ => return None,
        };
        Some(items.iter().filter_map(|item| self.pickle.text(*item).map(str::to_owned)).collect())
    }
}

/// `_rebuild_tensor(storage, offset, shape, strides, …)`.
fn rebuilt(pickle: &Pickle, arguments: &[Id], element: Option<Element>) -> Option<Found> {
    let [kept, offset, shape, strides, ..] = arguments else { return None };
    let Object::Persistent(name) = pickle.get(*kept) else { return None };
    let Storage { key, element: stored, offset: view } = storage(pickle, *name)?;
    let (offset, shape, strides) =
        (pickle.count(*offset)?.checked_add(view)?, pickle.counts(*shape)?, pickle.counts(*strides)?);
    let element = element.or(stored)?;
    (shape.len() == strides.len()).then_some(Found { element, shape, numbers: Place::Storage { key, offset, strides } })
}

/// An array of NumPy.
fn array(pickle: &Pickle, bytes: Id, kind: Id, shape: Id, columns_first: bool) -> Option<Found> {
    let Object::Made(kind) = pickle.get(kind) else { return None };
    // `dtype('f4', …)` with the state `(3, '<', …)`.
    let element = Element::of_numpy(pickle.text(*pickle.sequence(kind.arguments)?.first()?)?)?;
    let order = kind.state.and_then(|state| pickle.text(*pickle.sequence(state)?.get(1)?));
    let bytes = match pickle.get(bytes) {
        Object::Bytes(bytes) => bytes.clone(),
        Object::Text(text) => text.as_bytes().to_vec(),
        // Before protocol 3: a text of Latin letters, of which each is a byte.
        Object::Made(Made { arguments, .. }) => match pickle.sequence(*arguments)? {
            [] => Vec::new(),
            [text, ..] => {
                let letters = pickle.text(*text)?.chars();
                letters.map(|letter| u8::try_from(u32::from(letter)).ok()).collect::<Option<_>>()?
            }
        },
        _ => return None,
    };
    let numbers = Place::Inline { bytes, big_endian: order == Some(">"), columns_first };
    Some(Found { element, shape: pickle.counts(shape)?, numbers })
}
