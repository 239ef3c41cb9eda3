//! What is found before anything is asked of a store.

use prometheus_client::registry::Registry;
use pyroscope_store::bucket::{
    Azure, AzureAccess, Backend, Bucket, Gcs, Http, OpenError, S3, S3Key, Settings,
};

fn opened(backend: Backend, environment: &[(&str, &str)]) -> Result<Bucket, OpenError> {
    let find = |name: &str| {
        let found = environment.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Bucket::open(&Settings::new(backend), &find, &mut Registry::default())
}

fn s3(http: Http) -> S3 {
    S3 {
        bucket: "profiles".to_owned(),
        endpoint: "localhost:9000".to_owned(),
        region: String::new(),
        key: None,
        insecure: true,
        path_style: None,
        encryption: None,
        http,
    }
}

#[test]
fn buckets_are_known_by_kind_and_name() {
    let bucket = opened(Backend::S3(s3(Http::default())), &[]).unwrap();
    assert_eq!(bucket.name(), "s3 bucket profiles");
}

#[test]
fn files_that_are_not_there_or_hold_nothing_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let open = || {
        let http = Http {
            authorities: Some(file.clone()),
            ..Http::default()
        };
        opened(Backend::S3(s3(http)), &[]).unwrap_err().to_string()
    };
    assert!(
        open().starts_with("cannot read ") && open().contains("ca.pem"),
        "{}",
        open()
    );
    std::fs::write(&file, "no certificate").unwrap();
    assert!(open().contains("tls-ca-path"), "{}", open());
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = opened(Backend::Filesystem(file.path().join("x")), &[]).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("cannot use the directory") && text.contains("/x"),
        "{text}"
    );
}

#[test]
fn half_a_key_in_the_environment_is_an_error() {
    let error = opened(
        Backend::S3(s3(Http::default())),
        &[("AWS_ACCESS_KEY_ID", "x")],
    );
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("SecretAccessKey") || error.contains("secret access key"),
        "{error}"
    );
    let both = [("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y")];
    opened(Backend::S3(s3(Http::default())), &both).unwrap();
    let identity = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
    ];
    opened(Backend::S3(s3(Http::default())), &identity).unwrap();
}

#[test]
fn nothing_that_is_printed_has_a_secret() {
    let http = Http::default;
    let backends = [
        Backend::S3(S3 {
            key: Some(S3Key {
                id: "id".to_owned(),
                secret: "hunter2".into(),
            }),
            ..s3(http())
        }),
        Backend::Gcs(Gcs {
            bucket: "b".to_owned(),
            service_account: Some("hunter2".into()),
            http: http(),
        }),
        azure(AzureAccess::Key("aHVudGVyMg==".into())),
        azure(AzureAccess::ConnectionString(
            "AccountName=a;AccountKey=aHVudGVyMg==".into(),
        )),
        azure(AzureAccess::Application {
            tenant: "t".to_owned(),
            client: "c".to_owned(),
            secret: "hunter2".into(),
        }),
    ];
    for backend in backends {
        let mut shown = format!("{:?}", Settings::new(backend.clone()));
        match opened(backend, &[]) {
            Ok(bucket) => shown += &format!("{bucket:?}"),
            Err(error) => shown += &format!("{error} {error:?}"),
        }
        assert!(
            !shown.contains("hunter2") && !shown.contains("aHVudGVyMg"),
            "{shown}"
        );
    }
}

fn azure(access: AzureAccess) -> Backend {
    Backend::Azure(Azure {
        container: "profiles".to_owned(),
        account: "account".to_owned(),
        endpoint_suffix: String::new(),
        access,
        http: Http::default(),
    })
}

#[test]
fn azure_signs_in_by_what_the_environment_gives() {
    let by_environment = || AzureAccess::Environment {
        identity: String::new(),
    };
    opened(azure(by_environment()), &[]).unwrap();
    let workload = [
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_FEDERATED_TOKEN_FILE", "/token"),
    ];
    opened(azure(by_environment()), &workload).unwrap();
    let identity = AzureAccess::Environment {
        identity: "00000000-0000-0000-0000-000000000000".to_owned(),
    };
    opened(azure(identity), &[]).unwrap();
}
