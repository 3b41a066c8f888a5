//! `darts-run completions SHELL` and `darts-run man`: what shells and `man` read, made of the
//! command line itself.

use super::{Arguments, Complaint, output};
use clap::CommandFactory;

pub(super) fn completions(shell: clap_complete::Shell) -> Result<u8, Complaint> {
    let mut command = Arguments::command();
    let (name, mut script) = (command.get_name().to_owned(), Vec::new());
    clap_complete::generate(shell, &mut command, name, &mut script);
    output::say(script)?;
    Ok(0)
}

/// The page of one command, or of the program.
pub(super) fn page(name: Option<&str>) -> Result<u8, Complaint> {
    let mut program = Arguments::command();
    program.build();
    let page = match name {
        None => clap_mangen::Man::new(program),
        Some(name) => {
            let found = program.get_subcommands().find(|command| command.get_name() == name);
            let known: Vec<String> =
                program.get_subcommands().map(|command| format!("`{}`", command.get_name())).collect();
            let complaint = || {
                Complaint::usage(format!("there is no command `{name}`"))
                    .hint(format!("there are {}", known.join(", ")))
            };
            clap_mangen::Man::new(found.cloned().ok_or_else(complaint)?)
        }
    };
    let mut text = Vec::new();
    page.render(&mut text).expect("memory takes what is written");
    output::say(text)?;
    Ok(0)
}
