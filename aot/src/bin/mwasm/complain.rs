//! Errors, drawn for people: the message, what caused it, the place in a file, and what to do.

use miette::{Diagnostic, GraphicalReportHandler, LabeledSpan, NamedSource, SourceCode};
use mwasm_aot::problem::Problem;
use std::fmt;
use std::process::ExitCode;

/// Wrong usage.
const USAGE_CODE: u8 = 2;
/// All else.
const FAILED_CODE: u8 = 1;

/// Tells what went wrong, and returns the exit code for it.
pub fn complain(error: &anyhow::Error) -> ExitCode {
    let problem = error.downcast_ref::<Problem>();
    let diagnostic = Shown::new(error, problem);
    let theme = miette::GraphicalTheme::default();
    let mut text = String::new();
    let handler = GraphicalReportHandler::new_themed(theme).with_wrap_lines(false).with_links(false);
    if handler.render_report(&mut text, &diagnostic).is_err() {
        text = format!("{error:#}\n");
    }
    anstream::eprint!("{text}");
    ExitCode::from(if problem.is_some_and(Problem::is_usage) { USAGE_CODE } else { FAILED_CODE })
}

/// An error in the form in which miette draws it.
#[derive(Debug)]
struct Shown {
    message: String,
    cause: Option<Box<Shown>>,
    help: Option<String>,
    place: Option<(NamedSource<String>, LabeledSpan)>,
}

impl Shown {
    fn new(error: &anyhow::Error, problem: Option<&Problem>) -> Self {
        let mut messages: Vec<String> = error.chain().map(ToString::to_string).collect();
        messages.dedup();
        let mut shown = None;
        for message in messages.into_iter().rev() {
            shown = Some(Self { message, cause: shown.map(Box::new), help: None, place: None });
        }
        let shown = shown.unwrap_or_else(|| Self { message: error.to_string(), cause: None, help: None, place: None });
        let place = problem.and_then(Problem::snippet).map(|snippet| {
            let label = LabeledSpan::new_with_span(Some(snippet.label.clone()), snippet.span.clone());
            (NamedSource::new(&snippet.file, snippet.text.clone()), label)
        });
        Self { help: problem.and_then(Problem::advice).map(str::to_owned), place, ..shown }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl Diagnostic for Shown {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place.as_ref().map(|(source, _)| source as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.place.as_ref().map(|(_, label)| Box::new(std::iter::once(label.clone())) as _)
    }
}
