use model_studio_sim::{Fault, RefusalKind, When};

use super::parse::{duration, number, share};

pub(super) const HELP: &str = "\
Something that goes wrong, and when: FAULT=WHEN. May be given again; where several would happen
to one request, the one given first does.

  500               an internal error
  503               no capacity
  requests, tokens, burst, free-quota, arrears, invalid-key
                    a refusal for no reason
  hang              no answer at all
  reset             the connection is reset in place of an answer
  reset-body        the connection is reset in the middle of the answer
  truncate          the answer ends in the middle
  error-event[/N]   a 200 with a refusal inside, after N events of a stream
  trickle/TIME      so long a pause before every event

  0.05 or 5%        to this share of the requests
  #3 or #3+7+9      to the third request for a model, or the third, the seventh and the ninth";

/// `500=5%`
pub(super) fn parse(text: &str) -> Result<(Fault, When), String> {
    let (fault, when) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is not FAULT=WHEN"))?;
    Ok((kind(fault)?, turn(when)?))
}

fn kind(text: &str) -> Result<Fault, String> {
    let (name, value) = text.split_once('/').unwrap_or((text, ""));
    Ok(match name {
        "500" => Fault::InternalError,
        "503" => Fault::Refuse(RefusalKind::Overloaded),
        "requests" => Fault::Refuse(RefusalKind::RequestRate),
        "tokens" => Fault::Refuse(RefusalKind::TokenRate),
        "burst" => Fault::Refuse(RefusalKind::Burst),
        "free-quota" => Fault::Refuse(RefusalKind::FreeQuota),
        "arrears" => Fault::Refuse(RefusalKind::Arrears),
        "invalid-key" => Fault::Refuse(RefusalKind::InvalidKey),
        "hang" => Fault::Hang,
        "reset" => Fault::Reset,
        "reset-body" => Fault::ResetInBody,
        "truncate" => Fault::Truncate,
        "error-event" => Fault::ErrorEvent {
            kind: RefusalKind::Burst,
            after: if value.is_empty() { 0 } else { number(value)? },
        },
        "trickle" => Fault::Trickle(duration(value)?),
        _ => return Err(format!("`{text}` is no fault; --help names them all")),
    })
}

fn turn(text: &str) -> Result<When, String> {
    let Some(numbers) = text.strip_prefix('#') else {
        return share(text).map(When::share);
    };
    let numbers: Result<Vec<_>, _> = numbers.split('+').map(number).collect();
    numbers.map(When::requests)
}
