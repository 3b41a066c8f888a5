//! How to run a stage: device, threads, checkpoints.

use super::{Fields, Node, Problems, Slurm, nearest};
use serde::Serialize as _;
use std::ops::Bound;

/// Far above any machine; each thread is started and takes memory for its stack.
const MOST_THREADS: usize = 1024;

/// How to run, as against what: changes here never change a result's key.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Runtime {
    /// `cpu`, `cuda`, `wgpu`, or one of several as `cuda:1`: at least one, and all of one backend,
    /// of which a stage takes one that no other works on. The backend is part of a key (as
    /// `numerics`), the index is not.
    #[serde(rename = "device", serialize_with = "one_or_all")]
    pub devices: Vec<String>,
    /// Threads for kernels; all cores where absent.
    pub threads: Option<usize>,
    pub checkpoint: Checkpoint,
    /// Whether a stage may start that is estimated to need more memory than the machine has.
    pub allow_memory: bool,
    /// What a batch job of the stage asks for.
    pub slurm: Slurm,
}

/// When a training saves a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Checkpoint {
    /// After so many steps; none by steps where absent.
    pub every_steps: Option<u64>,
    /// After so many seconds; by what one costs where absent.
    pub every_seconds: Option<f64>,
}

/// The built-in defaults: the layer under every file.
impl Default for Runtime {
    fn default() -> Self {
        Self {
            // Runs anywhere; a GPU is asked for by name.
            devices: vec!["cpu".to_owned()],
            threads: None,
            checkpoint: Checkpoint::default(),
            allow_memory: false,
            slurm: Slurm::default(),
        }
    }
}

impl Runtime {
    /// The device, or the first of several.
    pub fn device(&self) -> &str {
        self.devices.first().map_or("cpu", String::as_str)
    }

    /// This, with one device.
    #[must_use]
    pub fn on(self, device: &str) -> Self {
        Self { devices: vec![device.to_owned()], ..self }
    }

    /// Reads a `runtime` map; what it leaves out is as in `inherited`.
    pub(super) fn read(node: &Node, what: impl Into<String>, inherited: &Self, problems: &mut Problems) -> Self {
        let mut runtime = inherited.clone();
        let mut fields = Fields::open(node, what, problems);
        if let Some(devices) = fields.texts("device") {
            let origin = fields.origin_of("device").clone();
            match wrong(&devices) {
                None => runtime.devices = devices,
                Some((message, hint)) => fields.problems().add_hinted(&origin, message, hint),
            }
        }
        let threads = fields.optional_integer("threads", 1..=MOST_THREADS, "a whole number from 1 to 1024");
        runtime.threads = threads.or(runtime.threads);
        runtime.allow_memory = fields.boolean("allow_memory", runtime.allow_memory);
        fields.map("checkpoint", |keys| {
            let Checkpoint { every_steps, every_seconds } = &mut runtime.checkpoint;
            let steps = keys.optional_integer("every_steps", 1.., "a whole number from 1");
            let above_zero = (Bound::Excluded(0.0), Bound::Unbounded);
            let seconds = keys.optional_number("every_seconds", above_zero, "a number above 0");
            (*every_steps, *every_seconds) = (steps.or(*every_steps), seconds.or(*every_seconds));
        });
        fields.map("slurm", |keys| runtime.slurm = Slurm::read(keys, &runtime.slurm));
        fields.close();
        runtime
    }

    /// Whether the device is a GPU.
    pub fn wants_gpu(&self) -> bool {
        self.device() != "cpu"
    }
}

/// What is wrong with a list of devices, and the way out.
fn wrong(devices: &[String]) -> Option<(String, Option<String>)> {
    if let Some(device) = devices.iter().find(|device| !is_device(device)) {
        let near = nearest(device, ["cpu", "cuda", "wgpu"]).map(|near| format!("did you mean `{near}`?"));
        let message =
            format!("`device` must be `cpu`, `cuda` or `wgpu`, or `cuda:INDEX`, `wgpu:INDEX`, found `{device}`");
        return Some((message, near));
    }
    let first = devices.first().map(|first| backend(first));
    if devices.iter().any(|device| Some(backend(device)) != first) || first.is_none() {
        let message = "`device` must be one device or several of one kind, since results differ between kinds";
        return Some((message.to_owned(), Some("for example `[cuda:0, cuda:1]`".to_owned())));
    }
    None
}

/// The kind of a device, without its index.
fn backend(device: &str) -> &str {
    device.split_once(':').map_or(device, |(kind, _)| kind)
}

/// One device as a word, several as a list.
fn one_or_all<S: serde::Serializer>(devices: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    match devices {
        [one] => one.serialize(serializer),
        all => all.serialize(serializer),
    }
}

fn is_device(text: &str) -> bool {
    let index = |rest: &str| rest.strip_prefix(':').is_some_and(|index| index.parse::<u32>().is_ok());
    let gpu = |kind: &str| text.strip_prefix(kind).is_some_and(|rest| rest.is_empty() || index(rest));
    text == "cpu" || gpu("cuda") || gpu("wgpu")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Runtime, Vec<String>) {
        let mut problems = Problems::new();
        let node = Node::parse("p.yaml", text).unwrap();
        let runtime = Runtime::read(&node, "`runtime`", &Runtime::default(), &mut problems);
        (runtime, problems.iter().map(|p| format!("{} {} {:?}", p.origin, p.message, p.hint)).collect())
    }

    #[test]
    fn what_is_left_out_is_inherited() {
        let (runtime, said) = read("device: cuda:1\ncheckpoint: {every_steps: 10, every_seconds: 2}\n");
        assert!(said.is_empty());
        let expected = Runtime {
            devices: vec!["cuda:1".into()],
            threads: None,
            checkpoint: Checkpoint { every_steps: Some(10), every_seconds: Some(2.0) },
            ..Runtime::default()
        };
        assert_eq!(runtime, expected);
    }

    #[test]
    fn several_devices_are_of_one_kind_and_written_as_they_are_read() {
        let written = |text: &str| {
            let (runtime, said) = read(text);
            (serde_json::to_value(&runtime).unwrap()["device"].to_string(), said.len())
        };
        assert_eq!(written("device: [cuda:0, cuda:1]"), (r#"["cuda:0","cuda:1"]"#.to_owned(), 0));
        assert_eq!(written("device: [cuda:1]"), (r#""cuda:1""#.to_owned(), 0));
        for text in ["device: [cuda:0, cpu]", "device: []", "device: [cuda:0, cuda:x]"] {
            assert_eq!(written(text), (r#""cpu""#.to_owned(), 1), "{text}");
        }
    }

    #[test]
    fn bad_values_and_unknown_keys_are_said() {
        let text = "device: cdua\nthreads: 0\nthread: 1\ncheckpoint: {every_second: 3, every_seconds: 0}\n";
        assert_eq!(
            read(text).1,
            [
                "p.yaml:1:9 `device` must be `cpu`, `cuda` or `wgpu`, or `cuda:INDEX`, `wgpu:INDEX`, found `cdua` Some(\"did you mean `cuda`?\")",
                "p.yaml:2:10 `threads` must be a whole number from 1 to 1024, found `0` None",
                "p.yaml:4:46 `every_seconds` must be a number above 0, found `0` None",
                "p.yaml:4:14 unknown key `every_second` in `checkpoint` Some(\"did you mean `every_seconds`?\")",
                "p.yaml:3:1 unknown key `thread` in `runtime` Some(\"did you mean `threads`?\")",
            ]
        );
        for device in ["tpu", "cuda:", "cuda:x", "cuda1", "wgpu:", "cpu:0", ""] {
            assert_eq!(read(&format!("device: '{device}'")).1.len(), 1, "{device}");
        }
    }
}
