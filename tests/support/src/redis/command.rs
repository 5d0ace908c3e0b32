use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a server may take to answer.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

/// Sends these commands on a connection of their own, in Redis's inline form, and returns what the
/// last is answered: a string as it is, nothing as an empty one, an array an element a line.
///
/// Errors of the connection come back as they are, and so does an answer that is an error.
pub(super) fn send(addr: SocketAddr, commands: &[&str]) -> Result<String, String> {
    let told = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(addr).map_err(told)?;
    stream.set_read_timeout(PATIENCE).map_err(told)?;
    let mut reader = BufReader::new(stream.try_clone().map_err(told)?);
    let mut answer = String::new();
    for command in commands {
        write!(stream, "{command}\r\n").map_err(told)?;
        answer = read(&mut reader).map_err(told)?;
        if answer.starts_with('-') {
            return Err(answer);
        }
    }
    Ok(answer)
}

fn read(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let line = line.trim_end();
    let (kind, rest) = line.split_at(line.len().min(1));
    let length = rest.parse().unwrap_or(0_usize);
    match kind {
        // Nothing: no text follows, not even its end.
        "$" if rest == "-1" => Ok(String::new()),
        "$" => {
            let mut text = vec![0; length + 2];
            reader.read_exact(&mut text)?;
            text.truncate(length);
            Ok(String::from_utf8_lossy(&text).into_owned())
        }
        "*" => {
            let elements = (0..length).map(|_| read(reader));
            Ok(elements.collect::<Result<Vec<_>, _>>()?.join("\n"))
        }
        "-" => Ok(line.to_owned()),
        "" => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(rest.to_owned()),
    }
}
