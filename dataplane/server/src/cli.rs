//! The command line: turns arguments into what the process does.

use std::{
    env,
    ffi::OsString,
    fs::File,
    io::{self, Read as _, Write as _},
    process::ExitCode,
};

use contract::{
    Config,
    args::{self, Loaded, Request},
    config::Target,
    error::{Errors, Warning},
};

/// Exit code of a wrong command line or configuration, as Go's flag package has it.
const WRONG_USAGE: u8 = 2;

/// Largest configuration file in bytes; a path given by mistake may hold anything.
const MOST_FILE_BYTES: u64 = 4 << 20;

/// What the process does.
#[derive(Debug)]
pub enum Action {
    /// Run with a valid configuration, after telling what was given in vain.
    Run(Box<Config>, Vec<Warning>),
    /// Print and end.
    Exit {
        /// Exit code.
        code: u8,
        /// Text for standard output, with its newline.
        stdout: String,
        /// Text for standard error, with its newline.
        stderr: String,
    },
}

/// Reads the arguments that follow the program's name, with this process's environment and
/// files.
pub fn parse(args: impl IntoIterator<Item = impl Into<OsString>>) -> Action {
    // What is not UTF-8 names no flag, and as a value it is told with its replacements.
    let lossy = |argument: OsString| argument.to_string_lossy().into_owned();
    let args: Vec<String> = args
        .into_iter()
        .map(|argument| lossy(argument.into()))
        .collect();
    let env = |name: &str| env::var(name).ok();
    action(args::parse(&args, &env, &read_file))
}

fn read_file(path: &str) -> io::Result<String> {
    let mut text = String::new();
    let mut file = File::open(path)?.take(MOST_FILE_BYTES + 1);
    if file.read_to_string(&mut text)? as u64 > MOST_FILE_BYTES {
        let reason = format!("larger than {MOST_FILE_BYTES} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
    }
    Ok(text)
}

/// Prints what [`Action::Exit`] says and returns its code.
///
/// A reader that has gone away, as in `pyroscope -help-all | head -1`, is no failure.
pub fn exit(code: u8, stdout: &str, stderr: &str) -> ExitCode {
    let _ = io::stdout().write_all(stdout.as_bytes());
    let _ = io::stderr().write_all(stderr.as_bytes());
    ExitCode::from(code)
}

fn action(request: Result<Request, Errors>) -> Action {
    match request {
        Ok(Request::Run(loaded)) => Action::Run(Box::new(loaded.config), loaded.warnings),
        Ok(Request::Verify(loaded)) => verified(&loaded),
        Ok(Request::Help) => print(contract::help()),
        Ok(Request::HelpAll) => print(contract::help_all()),
        Ok(Request::Version) => print(format!(
            "pyroscope, version {}\n",
            env!("CARGO_PKG_VERSION")
        )),
        Ok(Request::Modules) => print(modules()),
        Err(errors) => wrong(&errors),
    }
}

fn verified(loaded: &Loaded) -> Action {
    let warnings = loaded.warnings.iter();
    Action::Exit {
        code: 0,
        stdout: "the configuration is valid\n".to_owned(),
        stderr: warnings
            .map(|warning| format!("warning: {warning}\n"))
            .collect(),
    }
}

fn wrong(errors: &Errors) -> Action {
    let mut stderr: String = errors
        .0
        .iter()
        .map(|error| format!("pyroscope: {error}\n"))
        .collect();
    stderr.push_str("run pyroscope -help for the flags\n");
    Action::Exit {
        code: WRONG_USAGE,
        stdout: String::new(),
        stderr,
    }
}

fn print(stdout: String) -> Action {
    Action::Exit {
        code: 0,
        stdout,
        stderr: String::new(),
    }
}

/// Lists the components; those with a star run with `-target=all`.
fn modules() -> String {
    let lines = Target::EVERY.iter().map(|target| match target.in_all() {
        true => format!("{target} *\n"),
        false => format!("{target}\n"),
    });
    let mut text: String = lines.collect();
    text.push_str("\nModules marked with * run with -target=all.\n");
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn run(args: &[&str]) -> Action {
        parse(args.iter().map(ToString::to_string))
    }

    fn exit_of(args: &[&str]) -> (u8, String, String) {
        match run(args) {
            Action::Exit {
                code,
                stdout,
                stderr,
            } => (code, stdout, stderr),
            Action::Run(..) => panic!("{args:?} runs"),
        }
    }

    #[test]
    fn modules_mark_what_all_runs() {
        let (code, stdout, _) = exit_of(&["-modules"]);
        assert_eq!(code, 0);
        assert_eq!(
            stdout,
            "all\ndistributor *\ningester *\nquerier *\n\nModules marked with * run with -target=all.\n"
        );
    }

    #[test]
    fn wrong_flags_end_with_two_and_name_what_is_wrong() {
        let (code, stdout, stderr) = exit_of(&["-server.http-listen-prot=1", "-target=ingestor"]);
        assert_eq!((code, stdout.as_str()), (2, ""));
        assert_eq!(
            stderr,
            "pyroscope: unknown flag -server.http-listen-prot; did you mean \
             -server.http-listen-port?\n\
             pyroscope: flag -target: unknown target \"ingestor\"; did you mean \"ingester\"?\n\
             run pyroscope -help for the flags\n"
        );
    }

    #[test]
    fn verify_reads_the_file_and_ends_without_running() {
        let folder = tempfile::tempdir().unwrap();
        let good = folder.path().join("good.yaml");
        fs::write(&good, "compactor: {}\nlimits: {reject_older_than: 2h}\n").unwrap();
        let good = good.to_str().unwrap();
        let (code, stdout, stderr) = exit_of(&["-config.verify", "-config.file", good]);
        assert_eq!((code, stdout.as_str()), (0, "the configuration is valid\n"));
        assert_eq!(
            stderr,
            format!("warning: {good}:1:1: key compactor has no effect in this version\n")
        );

        let missing = folder.path().join("missing.yaml");
        let (code, _, stderr) =
            exit_of(&["-config.verify", "-config.file", missing.to_str().unwrap()]);
        assert_eq!(code, 2);
        assert!(
            stderr.contains("cannot read configuration file"),
            "{stderr}"
        );
    }

    #[test]
    fn good_flags_run_and_tell_what_was_given_in_vain() {
        let Action::Run(config, warnings) = run(&["--target=querier", "-write-path=ingester"])
        else {
            panic!("good flags do not run");
        };
        assert_eq!(config.target.to_string(), "querier");
        let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings, ["flag -write-path has no effect in this version"]);
    }

    #[test]
    fn an_argument_that_is_not_text_is_an_error() {
        use std::os::unix::ffi::OsStringExt as _;
        let argument = OsString::from_vec(b"-target=\xff".to_vec());
        let Action::Exit { code, stderr, .. } = parse([argument]) else {
            panic!("no target is called that");
        };
        assert_eq!(code, 2);
        assert!(stderr.contains("unknown target"), "{stderr}");
    }

    #[test]
    fn help_and_version_end_well() {
        for flag in ["-h", "--help", "-help-all", "-version"] {
            let (code, stdout, stderr) = exit_of(&[flag]);
            assert_eq!((code, stderr.as_str()), (0, ""), "{flag}");
            assert!(stdout.contains("pyroscope"), "{flag}");
        }
    }
}
