//! Errors of the transport in words: Ballista hands them on in their debug form.

/// Marks of the debug form of such errors.
const FORMS: [&str; 4] = [
    "Status { code: ",
    "GrpcConnectionError(",
    "GrpcConnectError(",
    "tonic::transport::Error(",
];
/// Begins the text of an error within a debug form.
const MESSAGE: &str = "message: ";

/// The innermost message of a debug form of the transport; `None` for any other text.
pub(super) fn transport_text(text: &str) -> Option<String> {
    if !FORMS.iter().any(|form| text.contains(form)) {
        return None;
    }
    let messages = text.match_indices(MESSAGE);
    let messages = messages.filter_map(|(at, _)| quoted(text.get(at + MESSAGE.len()..)?));
    let message = messages.filter(|message| !message.is_empty()).last();
    Some(message.unwrap_or_else(|| "the connection broke".to_owned()))
}

/// The text in the quotes at the beginning of `rest`, which may be escaped because they are in others.
fn quoted(rest: &str) -> Option<String> {
    let open = rest.find('"')?;
    let (escapes, text) = rest.split_at_checked(open)?;
    if !escapes.chars().all(|c| c == '\\') {
        return None;
    }
    let quote = format!("{escapes}\"");
    let (message, _) = text.get(1..)?.split_once(&quote)?;
    Some(message.replace('\\', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_message_is_told() {
        let refused = "Status { code: Unavailable, message: \"tcp connect error\", metadata: MetadataMap { headers: {} }, \
                       source: Some(tonic::transport::Error(Transport, ConnectError(ConnectError(\"tcp connect error\", \
                       127.0.0.1:1, Os { code: 111, kind: ConnectionRefused, message: \"Connection refused\" })))) }";
        for text in [refused.to_owned(), format!("Failed({refused:?})")] {
            let told = transport_text(&text);
            assert_eq!(told.as_deref(), Some("Connection refused"), "{text}");
        }
        let timeout = "GrpcConnectionError(\"Error connecting: tonic::transport::Error(Transport, TimedOut)\")";
        assert_eq!(
            transport_text(timeout).as_deref(),
            Some("the connection broke")
        );
        assert_eq!(transport_text("no column `message: \"x\"`"), None);
    }
}
