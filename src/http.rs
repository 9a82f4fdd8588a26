//! What talking to servers has in common: clients that give up on silence, and when to try again after which wait.

use std::time::{Duration, SystemTime};

use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::http::{HeaderMap, Uri};
use ureq::typestate::AgentScope;

use crate::digest::Hasher;

/// How long a server may stay silent before the connection counts as broken.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// How often something is asked before a passing failure is final.
pub const TRIES: u32 = 5;

/// The first wait between two tries, doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// No wait is longer, whatever a server asks for: a person is watching.
const LONGEST_WAIT: Duration = Duration::from_mins(2);

/// Whether hosts may be asked for what is not here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    #[default]
    Open,
    /// Downloads are refused; servers that a spec names are still asked.
    Offline,
}

/// Why a try failed.
pub enum Failed<E> {
    /// Another try would fail in the same way.
    Final(E),
    /// Another try may succeed, after as long as the server asks for.
    Passing(E, Option<Duration>),
}

/// A client to be refined: statuses are answers, proxy variables of the environment are honoured, and `silence` ends it.
pub fn settings(silence: Duration) -> ConfigBuilder<AgentScope> {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(silence.min(PATIENCE)))
        .timeout_recv_response(Some(silence))
        .timeout_per_read(Some(silence))
        .user_agent(concat!("embed-bench/", env!("CARGO_PKG_VERSION")))
}

/// A client for `url` that follows no redirect: whoever asks decides where its key may go. No proxy stands between this
/// machine and itself.
pub fn client(url: &str, silence: Duration) -> Agent {
    let settings = settings(silence).max_redirects(0);
    let settings = if is_local(url) { settings.proxy(None) } else { settings };
    settings.build().into()
}

fn is_local(url: &str) -> bool {
    let uri: Option<Uri> = url.parse().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    host == "localhost" || host.starts_with("127.") || host == "[::1]"
}

/// Tries until it succeeds, fails for good, or failed `tries` times; `pause` waits, and says whether to go on.
///
/// # Errors
/// The last failure.
pub fn persist<T, E>(
    tries: u32,
    seed: &str,
    pause: &mut dyn FnMut(Duration) -> bool,
    mut attempt: impl FnMut(u32) -> Result<T, Failed<E>>,
) -> Result<T, E> {
    let mut done = 1;
    loop {
        let (error, asked) = match attempt(done) {
            Ok(found) => return Ok(found),
            Err(Failed::Final(error)) => return Err(error),
            Err(Failed::Passing(error, asked)) => (error, asked),
        };
        let wait = wait(done, seed, asked);
        if done >= tries || wait > LONGEST_WAIT || !pause(wait) {
            return Err(error);
        }
        done += 1;
    }
}

/// How long to wait after the `done`-th try: what the server asks for, else a doubled wait. Up to half of it is added by a
/// digest of what was asked, so that requests that failed together do not come back together.
pub fn wait(done: u32, seed: &str, asked: Option<Duration>) -> Duration {
    let draw = Hasher::new("wait/1").field("seed", seed).field("try", done.to_le_bytes()).finish();
    let share = f64::from(draw.as_bytes()[0]) / 256.0;
    match asked {
        Some(asked) => asked + FIRST_WAIT.mul_f64(share / 2.0),
        None => FIRST_WAIT.mul_f64(1.0 + share / 2.0) * 2_u32.saturating_pow(done.min(8) - 1),
    }
}

/// Whether a status says that the same request may succeed later.
pub const fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// What `Retry-After` asks for: seconds, or a date.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default()),
    }
}

/// The beginning of an answer, on one line, for an error message.
pub fn excerpt(answer: &[u8]) -> String {
    const MOST: usize = 300;
    let text = String::from_utf8_lossy(&answer[..answer.len().min(4 * MOST)]);
    let plain = text.replace(|c: char| c.is_control(), " ");
    let words: Vec<&str> = plain.split_whitespace().collect();
    let mut short: String = words.join(" ").chars().take(MOST).collect();
    if short.len() < answer.len() && answer.len() > MOST {
        short.push('…');
    }
    if short.is_empty() { "nothing".to_owned() } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", value.parse().expect("a header"));
        retry_after(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777))
    }

    #[test]
    fn servers_ask_for_seconds_or_a_date() {
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:50:07 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::now()), None);
    }

    #[test]
    fn waits_double_and_differ_by_what_is_asked() {
        let waits: Vec<f64> = (1..=4).map(|done| wait(done, "a", None).as_secs_f64()).collect();
        for (done, wait) in waits.iter().enumerate() {
            let least = 0.5 * f64::from(1 << done);
            assert!((least..=1.5 * least).contains(wait), "{waits:?}");
        }
        assert_ne!(wait(1, "a", None), wait(1, "b", None));
        assert!(wait(1, "a", Some(Duration::from_secs(9))) >= Duration::from_secs(9));
    }

    #[test]
    fn a_passing_failure_is_tried_again_and_a_final_one_is_not() {
        let tried = |passing: bool, asked: Option<Duration>| {
            let (mut tries, mut waited) = (0, Vec::new());
            let pause = &mut |wait| {
                waited.push(wait);
                true
            };
            let outcome: Result<(), u32> = persist(3, "seed", pause, |done| {
                tries = done;
                Err(if passing { Failed::Passing(done, asked) } else { Failed::Final(done) })
            });
            assert_eq!(outcome, Err(tries));
            (tries, waited.len())
        };
        assert_eq!(tried(true, None), (3, 2));
        assert_eq!(tried(false, None), (1, 0));
        // Nobody waits for an hour.
        assert_eq!(tried(true, Some(Duration::from_hours(1))), (1, 0));
        assert_eq!(persist(3, "seed", &mut |_| false, |done| Err::<(), _>(Failed::Passing(done, None))), Err(1));
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt(b"{\n  \"error\":\t\"too long\"\n}"), "{ \"error\": \"too long\" }");
        assert_eq!(excerpt(b""), "nothing");
        assert_eq!(excerpt("词".repeat(1000).as_bytes()).chars().count(), 301);
        assert_eq!(excerpt(&[0xff, 0x1b, b'a']), "\u{fffd} a");
    }

    #[test]
    fn this_machine_needs_no_proxy() {
        for url in ["http://localhost:8080/v1", "http://127.0.0.1:1", "https://[::1]:8080/v1"] {
            assert!(is_local(url), "{url}");
        }
        assert!(!is_local("https://localhost.example.org/v1"));
    }
}
