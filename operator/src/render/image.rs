use crds::Image;

/// Returns the image that pods run: what the specification names, with the
/// operator's default for what it leaves out.
pub(crate) fn reference(default: &str, image: &Image) -> String {
    let (default_repository, default_tag) = split(default);
    let same_repository = image.repository.is_empty();
    let repository = if same_repository {
        default_repository
    } else {
        &image.repository
    };
    let tag = match (image.tag.as_str(), same_repository) {
        ("", true) => default_tag,
        ("", false) => "latest",
        (tag, _) => tag,
    };
    if tag.contains(':') {
        format!("{repository}@{tag}")
    } else {
        format!("{repository}:{tag}")
    }
}

/// Splits a reference into repository and tag or digest. A colon before the last
/// slash belongs to a registry's port.
pub(crate) fn split(reference: &str) -> (&str, &str) {
    if let Some((repository, digest)) = reference.split_once('@') {
        return (repository, digest);
    }
    match reference.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (reference, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(repository: &str, tag: &str) -> Image {
        Image {
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            ..Image::default()
        }
    }

    #[test]
    fn default_fills_what_is_left_out() {
        let default = "localhost:5000/pyroscope:1.2";
        let cases = [
            ("", "", "localhost:5000/pyroscope:1.2"),
            ("", "1.3", "localhost:5000/pyroscope:1.3"),
            ("example.org/p", "", "example.org/p:latest"),
            ("example.org/p", "2", "example.org/p:2"),
            ("example.org/p", "sha256:ab", "example.org/p@sha256:ab"),
        ];
        for (repository, tag, expected) in cases {
            assert_eq!(reference(default, &image(repository, tag)), expected);
        }
        assert_eq!(reference("p@sha256:ab", &image("", "")), "p@sha256:ab");
        assert_eq!(
            reference("localhost:5000/p", &image("", "")),
            "localhost:5000/p:latest"
        );
    }
}
