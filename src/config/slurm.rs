//! What a batch job of a stage asks SLURM for.

use super::{Fields, Node, Value};
use serde_json::Value as Json;

/// Options of `sbatch` by which `submit` finds its jobs again and ends them well, and so sets.
const OURS: [&str; 21] = [
    "--array",
    "-a",
    "--chdir",
    "-D",
    "--dependency",
    "-d",
    "--error",
    "-e",
    "--job-name",
    "-J",
    "--kill-on-invalid-dep",
    "--no-requeue",
    "--open-mode",
    "--output",
    "-o",
    "--parsable",
    "--requeue",
    "--signal",
    "--test-only",
    "--wait",
    "--wrap",
];

/// The resources of a job, each as `sbatch` takes it; what is absent is as the cluster has it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Slurm {
    pub partition: Option<String>,
    pub account: Option<String>,
    pub qos: Option<String>,
    pub constraint: Option<String>,
    /// `90` (minutes), `1:30:00`, `2-12`: all the forms that `sbatch --time` takes.
    pub time: Option<String>,
    /// `16G`; a number alone is megabytes.
    pub memory: Option<String>,
    /// One where the stage's device is a GPU and this is absent.
    pub gpus: Option<u32>,
    /// The stage's threads where absent.
    pub cpus: Option<u32>,
    /// How long before the end of its time a job is told to save a checkpoint.
    pub notice_seconds: u32,
    /// Further options, a text each: `--exclude=node7`.
    pub extra: Vec<String>,
}

impl Default for Slurm {
    fn default() -> Self {
        Self {
            partition: None,
            account: None,
            qos: None,
            constraint: None,
            time: None,
            memory: None,
            gpus: None,
            cpus: None,
            // A checkpoint is at most a step away and takes seconds to write.
            notice_seconds: 60,
            extra: Vec::new(),
        }
    }
}

impl Slurm {
    /// Reads the keys of a `slurm` map; what it leaves out is as in `inherited`.
    pub(super) fn read(keys: &mut Fields<'_>, inherited: &Self) -> Self {
        let mut slurm = inherited.clone();
        let words = [
            ("partition", &mut slurm.partition),
            ("account", &mut slurm.account),
            ("qos", &mut slurm.qos),
            ("constraint", &mut slurm.constraint),
        ];
        for (key, value) in words {
            let word = written(keys, key, "one word as `sbatch` takes it", is_word);
            *value = word.or(value.take());
        }
        let time = "minutes, or a text such as `1:30:00` or `2-12` (days, hours)";
        let time = written(keys, "time", time, |text| seconds(text).is_some_and(|seconds| seconds > 0));
        let memory = written(keys, "memory", "a text such as `16G` or `4000M`", is_memory);
        (slurm.time, slurm.memory) = (time.or(slurm.time), memory.or(slurm.memory));
        slurm.gpus = keys.optional_integer("gpus", 0..=64, "a whole number from 0 to 64").or(slurm.gpus);
        slurm.cpus = keys.optional_integer("cpus", 1..=4096, "a whole number from 1 to 4096").or(slurm.cpus);
        let of_notice = "a whole number from 1 to 65535";
        slurm.notice_seconds = keys.integer("notice_seconds", slurm.notice_seconds, 1..=65535, of_notice);
        if let Some(whole) = slurm.time.as_deref().and_then(seconds)
            && whole <= u64::from(slurm.notice_seconds)
        {
            let place = if keys.is_written("notice_seconds") { "notice_seconds" } else { "time" };
            let origin = keys.origin_of(place).clone();
            let message = format!(
                "a job of {whole} s would be told to end before it begins: `notice_seconds` is {}",
                slurm.notice_seconds
            );
            keys.problems().add(&origin, message);
        }
        if let Some(extra) = extra(keys) {
            slurm.extra = extra;
        }
        keys.note("extra", slurm.extra.clone());
        slurm
    }
}

/// A text or a number of the map that `is_good`, as text.
fn written(keys: &mut Fields<'_>, key: &'static str, expected: &str, is_good: impl Fn(&str) -> bool) -> Option<String> {
    let node = keys.node(key);
    let text = node.and_then(|node| match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        _ => None,
    });
    let good = text.filter(|text| is_good(text));
    if let (Some(node), None) = (node, &good) {
        keys.wrong(key, node, expected);
    }
    keys.note(key, good.clone().map_or(Json::Null, Json::from));
    good
}

fn extra(keys: &mut Fields<'_>) -> Option<Vec<String>> {
    let node = keys.node("extra")?;
    let items: &[Node] = match &node.value {
        Value::List(items) => items,
        _ => std::slice::from_ref(node),
    };
    let texts = keys.texts("extra")?;
    for (item, text) in items.iter().filter_map(|item| Some((item, item.as_text()?))) {
        let name = text.split(['=', ' ']).next().unwrap_or_default();
        // A letter's value may stand right behind it.
        let letter = text.get(..2).filter(|letter| !letter.ends_with('-'));
        if !text.starts_with('-') || text.chars().any(char::is_control) {
            keys.wrong("extra", item, "options of `sbatch`, such as `--exclude=node7`");
        } else if let Some(ours) = OURS.iter().find(|ours| **ours == name || Some(**ours) == letter) {
            keys.problems().add(&item.origin, format!("`submit` sets `{ours}` itself"));
        }
    }
    Some(texts)
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('-') && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn is_memory(text: &str) -> bool {
    let digits = text.strip_suffix(['K', 'M', 'G', 'T']).unwrap_or(text);
    digits.parse::<u64>().is_ok_and(|size| size > 0) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The seconds of a time as SLURM writes it: `minutes`, `minutes:seconds`, `hours:minutes:seconds`,
/// `days-hours`, `days-hours:minutes`, `days-hours:minutes:seconds`.
fn seconds(text: &str) -> Option<u64> {
    let number = |text: &str| text.parse::<u64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let (days, rest) = match text.split_once('-') {
        Some((days, rest)) => (Some(number(days)?), rest),
        None => (None, text),
    };
    let parts: Vec<u64> = rest.split(':').map(number).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = match (days, &parts[..]) {
        (None, [minutes]) => [0, *minutes, 0],
        (None, [minutes, seconds]) => [0, *minutes, *seconds],
        (Some(_), [hours]) => [*hours, 0, 0],
        (Some(_), [hours, minutes]) => [*hours, *minutes, 0],
        (_, [hours, minutes, seconds]) => [*hours, *minutes, *seconds],
        _ => return None,
    };
    let hours = days.unwrap_or(0).checked_mul(24)?.checked_add(hours)?;
    hours.checked_mul(60)?.checked_add(minutes)?.checked_mul(60)?.checked_add(seconds)
}

#[cfg(test)]
mod tests {
    use super::super::Problems;
    use super::*;

    fn read(text: &str, inherited: &Slurm) -> (Slurm, Vec<String>) {
        let mut problems = Problems::new();
        let node = Node::parse("p.yaml", text).unwrap();
        let (slurm, _) = Fields::read_all(&node, "`slurm`", &mut problems, |keys| Slurm::read(keys, inherited));
        (slurm, problems.iter().map(|p| format!("{} {} {:?}", p.origin, p.message, p.hint)).collect())
    }

    #[test]
    fn what_is_left_out_is_inherited_and_read_back_it_is_the_same() {
        let all = "partition: gpu\naccount: nas\nqos: low\nconstraint: a100|h100\ntime: 90\nmemory: 16G\ngpus: 1\n\
            cpus: 4\nnotice_seconds: 120\nextra: [--exclude=node7, --mail-type=END]\n";
        let (pipeline, said) = read(all, &Slurm::default());
        assert!(said.is_empty(), "{said:?}");
        assert_eq!((pipeline.time.as_deref(), pipeline.cpus), (Some("90"), Some(4)));
        let (stage, said) = read("time: 2-12\nextra: []\n", &pipeline);
        assert!(said.is_empty(), "{said:?}");
        assert_eq!(stage, Slurm { time: Some("2-12".to_owned()), extra: Vec::new(), ..pipeline.clone() });
        let written = serde_yaml::to_string(&pipeline).unwrap();
        assert_eq!(read(&written, &Slurm::default()), (pipeline, Vec::new()));
        assert_eq!(read("", &Slurm::default()), (Slurm::default(), Vec::new()));
    }

    #[test]
    fn what_sbatch_would_not_take_is_said_with_its_place() {
        let text = "partition: two words\naccount: [a]\ntime: tomorrow\nmemory: 16 GB\ngpus: -1\ncpus: 0\n\
            extra: [exclude=node7, --array=0-3, -o/dev/null, \"--output x\", -J, \"--a\\nb\"]\nqoss: low\n";
        assert_eq!(
            read(text, &Slurm::default()).1,
            [
                "p.yaml:1:12 `partition` must be one word as `sbatch` takes it, found `two words` None",
                "p.yaml:2:10 `account` must be one word as `sbatch` takes it, found a list None",
                "p.yaml:3:7 `time` must be minutes, or a text such as `1:30:00` or `2-12` (days, hours), found `tomorrow` None",
                "p.yaml:4:9 `memory` must be a text such as `16G` or `4000M`, found `16 GB` None",
                "p.yaml:5:7 `gpus` must be a whole number from 0 to 64, found `-1` None",
                "p.yaml:6:7 `cpus` must be a whole number from 1 to 4096, found `0` None",
                "p.yaml:7:9 `extra` must be options of `sbatch`, such as `--exclude=node7`, found `exclude=node7` None",
                "p.yaml:7:24 `submit` sets `--array` itself None",
                "p.yaml:7:37 `submit` sets `-o` itself None",
                "p.yaml:7:50 `submit` sets `--output` itself None",
                "p.yaml:7:64 `submit` sets `-J` itself None",
                "p.yaml:7:68 `extra` must be options of `sbatch`, such as `--exclude=node7`, found `--a\nb` None",
                "p.yaml:8:1 unknown key `qoss` in `slurm` Some(\"did you mean `qos`?\")",
            ]
        );
        assert_eq!(
            read("time: 1\n", &Slurm::default()).1,
            ["p.yaml:1:7 a job of 60 s would be told to end before it begins: `notice_seconds` is 60 None"]
        );
    }

    #[test]
    fn times_are_read_as_slurm_reads_them() {
        let of =
            [("60", 3600), ("1:30", 90), ("1:30:00", 5400), ("2-12", 216_000), ("1-0:30", 88_200), ("1-0:0:5", 86_405)];
        for (text, expected) in of {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in ["", "-1", "1-", "1:2:3:4", "1.5", "+3", "1h", "99999999999999999999", "999999999999999999-0"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
