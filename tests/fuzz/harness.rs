//! Tries inputs on a reader and holds it to its promise: an answer or an error that names the
//! place, in little time and little memory.

use crate::{ALLOCATOR, mutation::mutated};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Seconds for each reader; another number by `FUZZ_SECONDS=600 cargo test --test fuzz`.
const SECONDS: f64 = 0.7;

/// What takes longer than this hangs: inputs have a megabyte at most.
const LONGEST: Duration = Duration::from_secs(60);

/// The thread that reads.
const READER: &str = "reader";

/// The stack that the program's main thread has.
const STACK: usize = 8 << 20;

/// Inputs that were answered in a way not seen before are edited further, so many of them.
const MOST_KEPT: usize = 4000;

/// Reads an input, or says why not.
type Reader = dyn FnMut(&[u8]) -> Result<(), String> + Send;

/// One reader and what it is tried on.
pub struct Target {
    pub name: &'static str,
    pub seeds: Vec<Vec<u8>>,
    /// What its format is made of.
    pub words: &'static [&'static [u8]],
    /// What it may take beyond what is taken already.
    pub megabytes: usize,
    /// Reads an input; an error's text comes back, which must hold `place`.
    pub read: Box<Reader>,
    pub place: &'static str,
}

/// Readers take turns: the limit of memory is the whole process's.
static TURN: Mutex<()> = Mutex::new(());

/// Where the last panic was, told by the hook.
static PANICKED_AT: Mutex<String> = Mutex::new(String::new());

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an input came to that nothing may come to, and the input.
type Faults = BTreeMap<String, Vec<u8>>;

/// # Panics
/// Where any input shows a fault. The inputs lie in the build's folder for tests then, as does one
/// that ended the whole process.
pub fn hold(mut target: Target) {
    let _turn = open(&TURN);
    let (name, folder) = (target.name, Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz"));
    fs::create_dir_all(&folder).expect("a folder for inputs");
    let current = folder.join(format!("{name}.input"));
    let (tell, told) = channel();
    let file = current.clone();
    let worker = thread::Builder::new()
        .name(READER.to_owned())
        .stack_size(STACK)
        .spawn(move || tried(&mut target, &file, &tell));
    let worker = worker.expect("a thread can be started");
    loop {
        match told.recv_timeout(LONGEST) {
            Ok(()) => {}
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => panic!("{name}: `{}` takes longer than {LONGEST:?}", current.display()),
        }
    }
    let (executions, answers, seconds, faults) = worker.join().expect("what a reader panics with is caught");
    println!("{name}: {executions} inputs in {seconds:.0} s, {answers} answers, {} faults", faults.len());
    let saved = |(at, (what, input)): (usize, (&String, &Vec<u8>))| {
        let path: PathBuf = folder.join(format!("{name}-{at}.fault"));
        fs::write(&path, input).expect("an input can be written");
        format!("\n  {what}: `{}`", path.display())
    };
    let told: String = faults.iter().enumerate().map(saved).collect();
    assert!(faults.is_empty(), "{name} has {} faults:{told}", faults.len());
}

fn tried(target: &mut Target, file: &Path, tell: &Sender<()>) -> (usize, usize, f64, Faults) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<f64>().expect("a number"));
    let (seconds, seed) = (number("FUZZ_SECONDS").unwrap_or(SECONDS), number("FUZZ_SEED").unwrap_or(1.0));
    let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
    let (mut kept, mut answers, mut faults) = (target.seeds.clone(), BTreeSet::new(), Faults::new());
    assert!(!kept.is_empty(), "{} has something to begin with", target.name);
    let (begun, mut executions) = (Instant::now(), 0);
    // Every seed as it is, then edits for as long as there is time.
    while executions < target.seeds.len() || begun.elapsed().as_secs_f64() < seconds {
        let mut pick = || random.random_range(0..kept.len());
        let (one, other) = (pick(), pick());
        let input = match target.seeds.get(executions) {
            Some(seed) => seed.clone(),
            None => mutated(&kept[one], &kept[other], target.words, &mut random),
        };
        fs::write(file, &input).expect("an input can be written");
        ALLOCATOR.set_limit(ALLOCATOR.allocated() + (target.megabytes << 20)).expect("more than is taken");
        let answer = catch_unwind(AssertUnwindSafe(|| (target.read)(&input)));
        ALLOCATOR.set_limit(usize::MAX).expect("the limit may always be raised");
        executions += 1;
        // Nobody hears it once a hang was told.
        let _ = tell.send(());
        let said = match answer {
            Ok(Ok(())) => String::new(),
            Ok(Err(said)) if said.contains(target.place) => said,
            Ok(Err(said)) => {
                faults.insert(format!("an error without its place: {}", shape(&said)), input);
                continue;
            }
            Err(_) => {
                faults.insert(std::mem::take(&mut *open(&PANICKED_AT)), input);
                continue;
            }
        };
        if answers.insert(shape(&said)) && kept.len() < MOST_KEPT {
            kept.push(input);
        }
    }
    let _ = fs::remove_file(file);
    (executions, answers.len(), begun.elapsed().as_secs_f64(), faults)
}

/// An answer without its numbers and names, so that another kind of answer is told from another
/// number.
fn shape(said: &str) -> String {
    let mut shape = String::new();
    for (at, piece) in said.split('`').enumerate() {
        if at % 2 == 0 {
            shape.extend(piece.chars().filter(|letter| !letter.is_ascii_digit()));
        }
    }
    shape.truncate(shape.char_indices().nth(300).map_or(shape.len(), |(at, _)| at));
    shape
}

/// Lets panics of readers tell where they were, and those of tests be told as ever.
pub fn hear_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let place = panic.location().map_or_else(String::new, ToString::to_string);
            let text = panic.payload_as_str().unwrap_or_default();
            let text: String = text.chars().filter(|letter| !letter.is_ascii_digit()).take(200).collect();
            *open(&PANICKED_AT) = format!("a panic at {place}: {text}");
            if thread::current().name() != Some(READER) {
                usual(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn target(name: &'static str, read: impl FnMut(&[u8]) -> Result<(), String> + Send + 'static) -> Target {
        hear_panics();
        Target { name, seeds: vec![b"1 2 3".to_vec()], words: &[], megabytes: 64, read: Box::new(read), place: "line" }
    }

    fn told(target: Target) -> String {
        let held = catch_unwind(AssertUnwindSafe(|| hold(target)));
        *held.expect_err("its faults are found").downcast().expect("a text")
    }

    #[test]
    fn a_reader_that_panics_and_one_that_names_no_place_are_found_out() {
        let panics = told(target("panics", |bytes| {
            assert!(!bytes.contains(&b'9'), "nine");
            Err("line 1".to_owned())
        }));
        assert!(panics.contains("panics has 1 faults:\n  a panic at tests/fuzz/harness.rs:"), "{panics}");
        let places = told(target("places", |bytes| Err(["line 1", "wrong"][bytes.len() % 2].to_owned())));
        assert!(places.contains("an error without its place: wrong"), "{places}");
        for path in [&panics, &places].into_iter().flat_map(|told| told.split('`').skip(1).step_by(2)) {
            fs::remove_file(path).expect("the input was kept");
        }
    }

    #[test]
    #[ignore = "takes all memory; the next test starts it in a process of its own"]
    fn a_reader_that_takes_all_memory() {
        hold(target("hoards", |bytes| Err(format!("line {}", vec![1_u8; (bytes.len() % 8) << 26].len()))));
    }

    #[test]
    fn a_reader_that_takes_too_much_memory_ends_and_its_input_stays() {
        let mut program = Command::new(std::env::current_exe().expect("this program"));
        let arguments = ["--ignored", "--exact", "harness::tests::a_reader_that_takes_all_memory"];
        let ended = program.args(arguments).output().expect("it can be started");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success() && said.contains("memory allocation of"), "{said}");
        let input = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz/hoards.input");
        fs::remove_file(input).expect("the input was kept");
    }
}
