//! S9: secrets do not leak. All output of the operator in a run is searched for every secret of the run. In a run
//! without faults, the search covers all encodings and the log at trace level. In a run with faults, it covers the
//! unchanged secrets.

use serde_json::Value;
use simulator::Call;

use super::Broken;
use crate::record::Record;
use crate::scenario::{
    CLIENT_SECRET, NEXT_CLIENT_SECRET, OPERATORS_WEBHOOK_SECRET, OWN_API, UNREAD_SECRET, WEBHOOK_KEY, WEBHOOK_SECRET,
};
use crate::story::{Exchange, Happening, is_deployment};
use testkit::PlantedSecret;

/// The secrets that are planted in every run, in addition to its tokens.
const PLANTED: [(&str, &str); 6] = [
    ("the client's secret", CLIENT_SECRET),
    ("the next client's secret", NEXT_CLIENT_SECRET),
    ("another key of the Secret", UNREAD_SECRET),
    ("the webhook's path", WEBHOOK_SECRET),
    ("the webhook's query", WEBHOOK_KEY),
    ("the path of the operator's own webhook", OPERATORS_WEBHOOK_SECRET),
];

pub fn check(record: &Record<'_>, broken: &mut Vec<Broken>) {
    let answers = record.calls(Call::Token).filter_map(|request| request.exchange.answer["access_token"].as_str());
    let tokens = answers.map(|token| ("a token", token));
    let secrets: Vec<(&str, &str)> = PLANTED.into_iter().chain(tokens).collect();
    let mut output = output(record);
    let found: Vec<String> = if let Some(trace) = &record.run.trace {
        output.push(("the log at trace level", trace.clone()));
        let planted: Vec<PlantedSecret> =
            secrets.iter().map(|(what, secret)| PlantedSecret::new(*what, secret)).collect();
        let spelled = |text: &str| planted.iter().find(|secret| secret.found_in(text).is_some());
        let found = output.iter().filter_map(|(place, text)| Some(finding(place, &spelled(text)?.place)));
        found.collect()
    } else {
        let plain = |text: &str| secrets.iter().find(|(_, secret)| text.contains(secret));
        output.iter().filter_map(|(place, text)| Some(finding(place, plain(text)?.0))).collect()
    };
    broken.extend(found.into_iter().map(|how| Broken::new("S9", how)));
}

fn finding(place: &str, what: &str) -> String {
    format!("{place} holds {what}")
}

/// All output of the operator, with the place of each text.
fn output(record: &Record<'_>) -> Vec<(&'static str, String)> {
    let mut output = vec![("the log", record.run.log.clone())];
    output.extend(record.run.metrics.iter().map(|metrics| ("the metrics", metrics.clone())));
    for entry in &record.run.story {
        match &entry.what {
            Happening::Changed { name, after: Some(after), .. } if is_deployment(name) => {
                // The user writes the spec, which contains the webhook URL in these stories.
                output.push(("a resource", format!("{} {}", after["metadata"], after["status"])));
            }
            Happening::EventPublished { reason, note, .. } => output.push(("an event", format!("{reason} {note}"))),
            Happening::Failed(error) => output.push(("an error", error.clone())),
            Happening::RequestReceived(exchange) => output.push(("a request", without_callback(exchange).to_string())),
            _ => {}
        }
    }
    output
}

/// Removes the callback URL, which the contract requires in a submit: the resource's own URL for every API, the default
/// URL only for the operator's own API.
fn without_callback(exchange: &Exchange) -> Value {
    let mut body = exchange.body.clone();
    let callback = body["webhookCallbackUrl"].as_str().unwrap_or_default();
    let is_operators = callback.contains(OPERATORS_WEBHOOK_SECRET);
    let may_be_told = exchange.call == Some(Call::Submit) && (!is_operators || exchange.server == OWN_API);
    if let Some(fields) = body.as_object_mut().filter(|_| may_be_told) {
        fields.remove("webhookCallbackUrl");
    }
    body
}
