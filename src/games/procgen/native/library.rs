//! Procgen's library: C functions of a file that is not ours.
//!
//! Whatever it finds wrong ends the process, so only a child calls it. All that it is given lies in
//! memory that is never freed: it keeps pointers to it for as long as it runs, and it is never
//! unloaded.

use super::setup::Setup;
use crate::Space;
use std::{
    ffi::{c_char, c_void},
    os::unix::ffi::OsStrExt,
    ptr::NonNull,
    slice,
};

/// What every game of Procgen shows and takes.
pub(super) const SPACE: Space = Space { height: 64, width: 64, channels: 3, actions: 15 };

const U8: i32 = 1;
const I32: i32 = 2;

/// Bytes that are enough for the state of one copy; coinrun's has 37 kB.
const STATE: usize = 1 << 20;

/// What a tensor of the library is.
#[repr(C)]
#[derive(Clone)]
struct TensorType {
    name: [u8; 128],
    scalar: i32,
    dtype: i32,
    shape: [i32; 16],
    dimensions: i32,
    /// Of a union: only the bytes of the dtype mean something.
    low: [u8; 4],
    high: [u8; 4],
}

#[repr(C)]
struct Choice {
    name: [u8; 128],
    dtype: i32,
    count: i32,
    data: *const c_void,
}

#[repr(C)]
struct Choices {
    items: *const Choice,
    count: i32,
}

#[repr(C)]
struct Buffers {
    observations: *mut *mut c_void,
    rewards: *mut f32,
    firsts: *mut u8,
    infos: *mut *mut c_void,
    actions: *mut *mut c_void,
}

const _: () = assert!(size_of::<TensorType>() == 212 && size_of::<Choice>() == 144);
const _: () = assert!(size_of::<Choices>() == 16 && size_of::<Buffers>() == 40);

/// The library's own; we hold its address alone.
type Env = *mut c_void;

struct Functions {
    version: unsafe extern "C" fn() -> i32,
    make: unsafe extern "C" fn(i32, Choices) -> Env,
    tensortypes: unsafe extern "C" fn(Env, i32, *mut TensorType) -> i32,
    set_buffers: unsafe extern "C" fn(Env, *mut Buffers),
    observe: unsafe extern "C" fn(Env),
    act: unsafe extern "C" fn(Env),
    get_state: unsafe extern "C" fn(Env, i32, *mut c_char, i32) -> i32,
    set_state: unsafe extern "C" fn(Env, i32, *mut c_char, i32),
}

impl Functions {
    fn open(setup: &Setup) -> Result<Self, libloading::Error> {
        // SAFETY: what a foreign file does when it is loaded and unloaded nobody can check. It is
        // the file that a person named to be run, it is loaded into a child that has nothing else
        // to lose, and it is never unloaded.
        let library = unsafe { libloading::Library::new(&setup.folder.library) }?;
        let library: &'static libloading::Library = Box::leak(Box::new(library));
        // SAFETY: the types are those of the headers of gym3 0.3.3 and Procgen 0.10.7 for functions
        // of these names. Another version of the interface has another number, which `make` asks
        // for before it calls any other.
        unsafe {
            Ok(Self {
                version: *library.get("libenv_version")?,
                make: *library.get("libenv_make")?,
                tensortypes: *library.get("libenv_get_tensortypes")?,
                set_buffers: *library.get("libenv_set_buffers")?,
                observe: *library.get("libenv_observe")?,
                act: *library.get("libenv_act")?,
                get_state: *library.get("get_state")?,
                set_state: *library.get("set_state")?,
            })
        }
    }
}

/// Memory that the library writes to or reads and that is never freed.
struct Block<T> {
    start: NonNull<T>,
    length: usize,
}

impl<T: Clone + Default> Block<T> {
    fn new(length: usize) -> Self {
        let block = Box::leak(vec![T::default(); length].into_boxed_slice());
        Self { length, start: NonNull::from(block).cast() }
    }

    /// Where the part of each of so many copies begins.
    fn parts(&self, copies: usize) -> impl Iterator<Item = *mut c_void> {
        let part = self.length / copies;
        // SAFETY: `copy * part` is below the length of the block, or 0 in an empty one.
        (0..copies).map(move |copy| unsafe { self.start.add(copy * part) }.as_ptr().cast())
    }
}

/// The copies of a game in the library. Its threads are at work from `act` until the `observe` after
/// it has returned.
pub(super) struct Library {
    functions: Functions,
    env: Env,
    copies: usize,
    frames: Block<u8>,
    rewards: Block<f32>,
    firsts: Block<u8>,
    levels: Block<i32>,
    actions: Block<i32>,
}

/// What the copies show, as the library writes it.
pub(super) struct Shown<'a> {
    pub(super) frames: &'a [u8],
    pub(super) rewards: &'a [f32],
    pub(super) firsts: &'a [u8],
    pub(super) levels: &'a [i32],
}

impl Library {
    /// `setup` was checked: what the library refuses ends the process.
    pub(super) fn make(setup: &Setup) -> Result<Self, String> {
        let functions = Functions::open(setup).map_err(|error| {
            let why = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            format!("its library cannot be used: {error}{why}")
        })?;
        // SAFETY: the function takes nothing.
        let version = unsafe { (functions.version)() };
        if version != 1 {
            return Err(format!("its library is of interface version {version}, this program knows version 1"));
        }
        let copies = setup.copies;
        let choices = Vec::leak(choices(setup));
        let choices = Choices { items: choices.as_ptr(), count: choices.len() as i32 };
        // SAFETY: `choices`, and the data of each, lie in memory that is never freed, with counts
        // and types as written.
        let env = unsafe { (functions.make)(copies as i32, choices) };
        if env.is_null() {
            return Err("its library made nothing".to_owned());
        }
        let mut this = Self {
            functions,
            env,
            copies,
            frames: Block::new(copies * SPACE.frame()),
            rewards: Block::new(copies),
            firsts: Block::new(copies),
            levels: Block::new(copies),
            actions: Block::new(copies),
        };
        this.check("observations", 1, &[("rgb", U8, &[64, 64, 3])])?;
        this.check("actions", 2, &[("action", I32, &[])])?;
        let infos = [("prev_level_seed", I32, &[][..]), ("prev_level_complete", U8, &[]), ("level_seed", I32, &[])];
        this.check("notes", 3, &infos)?;
        this.set_buffers();
        this.observe();
        Ok(this)
    }

    /// Whether the tensors of a kind are those that there will be memory for.
    fn check(&self, what: &str, kind: i32, expected: &[(&str, i32, &[i32])]) -> Result<(), String> {
        // SAFETY: without a place to write to the function only counts.
        let count = unsafe { (self.functions.tensortypes)(self.env, kind, std::ptr::null_mut()) };
        let empty = TensorType {
            name: [0; 128],
            scalar: 0,
            dtype: 0,
            shape: [0; 16],
            dimensions: 0,
            low: [0; 4],
            high: [0; 4],
        };
        let mut found = vec![empty; usize::try_from(count).unwrap_or(0)];
        // SAFETY: there is room for as many as the function just counted.
        unsafe { (self.functions.tensortypes)(self.env, kind, found.as_mut_ptr()) };
        let fits = |(tensor, (name, dtype, shape)): (&TensorType, &(&str, i32, &[i32]))| {
            tensor.name.split(|&byte| byte == 0).next() == Some(name.as_bytes())
                && tensor.dtype == *dtype
                && usize::try_from(tensor.dimensions) == Ok(shape.len())
                && tensor.shape.starts_with(shape)
        };
        let ends_at_14 = kind != 2 || found.iter().all(|tensor| i32::from_ne_bytes(tensor.high) == 14);
        if found.len() == expected.len() && found.iter().zip(expected).all(fits) && ends_at_14 {
            return Ok(());
        }
        Err(format!("its library has other {what} than Procgen 0.10.7"))
    }

    fn set_buffers(&mut self) {
        let (seeds, completes) = (Block::<i32>::new(self.copies), Block::<u8>::new(self.copies));
        let pointers = |blocks: Vec<*mut c_void>| Vec::leak(blocks).as_mut_ptr();
        let of = self.copies;
        let buffers = Buffers {
            observations: pointers(self.frames.parts(of).collect()),
            rewards: self.rewards.start.as_ptr(),
            firsts: self.firsts.start.as_ptr(),
            infos: pointers(seeds.parts(of).chain(completes.parts(of)).chain(self.levels.parts(of)).collect()),
            actions: pointers(self.actions.parts(of).collect()),
        };
        // SAFETY: every pointer leads to memory that is never freed or moved: for each tensor of a
        // space, in the order that `check` saw, one pointer a copy, to as many bytes as the tensor
        // has.
        unsafe { (self.functions.set_buffers)(self.env, Box::leak(Box::new(buffers))) };
    }

    fn observe(&mut self) {
        // SAFETY: `env` was made by this library and its buffers are set. The call waits for the
        // library's threads, and nobody reads the buffers meanwhile: `self` is borrowed for writing.
        unsafe { (self.functions.observe)(self.env) };
    }

    pub(super) fn act(&mut self, actions: impl IntoIterator<Item = i32>) {
        for (at, action) in actions.into_iter().take(self.copies).enumerate() {
            // SAFETY: `at` is below the length of the block, which the library reads only in calls.
            unsafe { self.actions.start.add(at).write(action) };
        }
        // SAFETY: as in `observe`, which waits for what this begins.
        unsafe { (self.functions.act)(self.env) };
        self.observe();
    }

    pub(super) fn shown(&self) -> Shown<'_> {
        // SAFETY: the four blocks are whole and were written when they were made. The library
        // writes to them from the beginning of `act` or `set_state` to the end of the `observe`
        // after it, and those borrow `self` for writing: not while what is returned here lives.
        unsafe {
            Shown {
                frames: slice::from_raw_parts(self.frames.start.as_ptr(), self.frames.length),
                rewards: slice::from_raw_parts(self.rewards.start.as_ptr(), self.rewards.length),
                firsts: slice::from_raw_parts(self.firsts.start.as_ptr(), self.firsts.length),
                levels: slice::from_raw_parts(self.levels.start.as_ptr(), self.levels.length),
            }
        }
    }

    /// The state of each copy.
    pub(super) fn states(&mut self, mut each: impl FnMut(&[u8])) {
        let mut bytes = vec![0u8; STATE];
        for copy in 0..self.copies {
            // SAFETY: the library writes at most the length that it is given, and ends the process
            // where that is too short. It has no thread at work: `observe` waited for them.
            let length =
                unsafe { (self.functions.get_state)(self.env, copy as i32, bytes.as_mut_ptr().cast(), STATE as i32) };
            each(&bytes[..usize::try_from(length).unwrap_or(0).min(STATE)]);
        }
    }

    /// Puts a state in each copy's place.
    pub(super) fn set_states(&mut self, states: &[&[u8]]) {
        for (copy, state) in states.iter().enumerate().take(self.copies) {
            let mut bytes = state.to_vec();
            // SAFETY: the pointer leads to as many bytes as the length says, which nobody else has.
            // What it holds is a state of this game that this library wrote, as its checksum says;
            // of a forged one the library can break no more than this child.
            unsafe {
                (self.functions.set_state)(self.env, copy as i32, bytes.as_mut_ptr().cast(), bytes.len() as i32);
            }
        }
        self.observe();
    }
}

fn choices(setup: &Setup) -> Vec<Choice> {
    // The library wants a slash at the end.
    let assets = [setup.folder.assets.as_os_str().as_bytes(), b"/"].concat();
    let number = |name, value: i32| choice(name, I32, Vec::leak(vec![value]));
    let flag = |name, value: u8| choice(name, U8, Vec::leak(vec![value]));
    vec![
        choice("env_name", U8, Vec::leak(setup.game.clone().into_bytes())),
        choice("resource_root", U8, Vec::leak(assets)),
        number("num_levels", setup.levels.count as i32),
        number("start_level", setup.levels.start as i32),
        number("num_actions", SPACE.actions as i32),
        number("rand_seed", setup.seed),
        number("num_threads", setup.threads as i32),
        number("distribution_mode", setup.mode),
        number("debug_mode", 0),
        flag("use_sequential_levels", 0),
        flag("render_human", 0),
        flag("use_generated_assets", 0),
        flag("use_monochrome_assets", 0),
        flag("restrict_themes", 0),
        flag("paint_vel_info", 0),
        flag("center_agent", 1),
        flag("use_backgrounds", 1),
    ]
}

fn choice<T>(name: &str, dtype: i32, data: &'static [T]) -> Choice {
    let mut padded = [0; 128];
    padded[..name.len()].copy_from_slice(name.as_bytes());
    Choice { name: padded, dtype, count: data.len() as i32, data: data.as_ptr().cast() }
}
