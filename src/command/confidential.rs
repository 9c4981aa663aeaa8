//! Flags whose values may hold a secret.

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command, Error};
use std::ffi::OsStr;
use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;

/// Parses a value with its `FromStr`. The error message leaves the value out, because the value may come from the
/// environment and the message goes to a log. The messages of clap's own parsers repeat the value.
#[derive(Debug)]
pub(super) struct Confidential<T>(PhantomData<fn() -> T>);

impl<T> Default for Confidential<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T> Clone for Confidential<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T> TypedValueParser for Confidential<T>
where
    T: FromStr<Err: Display> + Clone + Send + Sync + 'static,
{
    type Value = T;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<T, Error> {
        let parsed = match value.to_str() {
            Some(text) => text.parse().map_err(|error: T::Err| error.to_string()),
            None => Err("is not UTF-8 text".to_owned()),
        };
        parsed.map_err(|problem| {
            let argument = argument.map(ToString::to_string).unwrap_or_default();
            let message = format!("the value of '{argument}' {problem}\n");
            Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use crate::command::settings::RunArguments;
    use clap::{Args, Command, Error, FromArgMatches};

    fn read(arguments: &[&str]) -> Result<RunArguments, Error> {
        let command = RunArguments::augment_args(Command::new("run"));
        let matches = command.try_get_matches_from(["run"].iter().chain(arguments))?;
        RunArguments::from_arg_matches(&matches)
    }

    #[test]
    fn a_mistake_in_a_value_that_may_be_secret_is_reported_without_the_value() {
        for (flag, value) in [
            ("--webhook-url", "hooks.example.com/s3cr3t"),
            ("--webhook-url", "https://s3cr3t@hooks.example.com"),
            ("--https-proxy", "me:s3cr3t@proxy:3128"),
            ("--https-proxy", "socks5://me:s3cr3t@proxy:3128"),
        ] {
            let error = read(&[flag, value]).expect_err(value);
            for shown in [error.to_string(), format!("{error:?}")] {
                assert!(shown.contains(flag) && !shown.contains("s3cr3t"), "{shown}");
            }
        }
    }

    #[test]
    fn printed_arguments_contain_no_secret() {
        let arguments =
            ["--webhook-url", "https://hooks.example.com/s3cr3t", "--https-proxy", "http://me:s3cr3t@proxy:3128"];
        let shown = format!("{:?}", read(&arguments).unwrap());
        assert!(shown.contains("hooks.example.com") && shown.contains("proxy"), "{shown}");
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
}
