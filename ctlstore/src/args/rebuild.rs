//! `ctlstore agent`, and what a person on the node asks of it.

use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};

use crate::args::Output;

/// Without a command, the flags are those of the service.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Agent {
    #[command(subcommand)]
    pub(crate) command: Option<AgentCommand>,
    #[command(flatten)]
    pub(crate) run: Run,
}

/// The flags of the service; none with a command. By hand, for clap's `Option` of flags looks at the struct's own ones only
/// when none are flattened into it.
#[derive(Debug)]
pub(crate) struct Run(pub(crate) Option<Box<agent::args::Args>>);

impl FromArgMatches for Run {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        // Required without a command.
        if !matches.contains_id("ctldb_url_file") {
            return Ok(Self(None));
        }
        agent::args::Args::from_arg_matches(matches).map(|args| Self(Some(Box::new(args))))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Run {
    fn augment_args(command: Command) -> Command {
        agent::args::Args::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        agent::args::Args::augment_args_for_update(command)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Ask the agent on this node to load its LDB anew: from the newest good snapshot, else from the whole ledger. Reads go on
    /// from the old file until the new one has come as far
    #[command(
        after_help = "Exit code: 0 the node has a new LDB, 1 it has not, and the old one is served. To be run as the agent's user.\n\nExample: ctlstore agent rebuild --ldb-dir /var/lib/ctlstore"
    )]
    Rebuild(Rebuild),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Rebuild {
    /// The LDB's directory
    #[arg(long, value_name = "DIR", default_value = "/var/lib/ctlstore", env = "CTLSTORE_PATH")]
    pub(crate) ldb_dir: PathBuf,
    /// How to print.
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        agent: Agent,
    }

    #[test]
    fn the_service_needs_its_flags_and_the_command_has_its_own() {
        let parse =
            |args: &[&str]| Cli::try_parse_from(["agent"].iter().chain(args)).map(|cli| cli.agent);
        let service = parse(&["--ctldb-url-file", "url", "--ldb-dir", "/a"]).unwrap();
        assert!(service.command.is_none());
        assert_eq!(service.run.0.unwrap().ldb_dir, PathBuf::from("/a"));
        let rebuild = parse(&["rebuild", "--ldb-dir", "/b"]).unwrap();
        assert!(rebuild.run.0.is_none());
        let Some(AgentCommand::Rebuild(Rebuild { ldb_dir, output: _ })) = rebuild.command else {
            panic!()
        };
        assert_eq!(ldb_dir, PathBuf::from("/b"));
        let text = parse(&["--ldb-dir", "/a"]).unwrap_err().to_string();
        assert!(text.contains("--ctldb-url-file"), "{text}");
        assert!(parse(&[]).is_err());
    }
}
