# tofu test: applies all of it to a provider that makes nothing, and checks what the provider's own schema says.
mock_provider "google" {
  mock_resource "google_service_account" {
    defaults = {
      name   = "projects/p/serviceAccounts/callout@p.iam.gserviceaccount.com"
      email  = "callout@p.iam.gserviceaccount.com"
      member = "serviceAccount:callout@p.iam.gserviceaccount.com"
    }
  }

  mock_data "google_project" {
    defaults = { number = "123" }
  }
}

variables {
  project           = "p"
  region            = "europe-west3"
  database_location = "eur3"
  image             = "callout@sha256:0"
  domain            = "callout.example.com"
  issuer            = "https://issuer.example.com"
  audience          = "callout"
}

run "as_little_as_can_be_set" {
  assert {
    condition     = endswith(google_pubsub_subscription.push["deliver-slow"].push_config[0].push_endpoint, "/push/deliver-slow")
    error_message = "pushes go to ${google_pubsub_subscription.push["deliver-slow"].push_config[0].push_endpoint}"
  }

  assert {
    condition     = length(google_cloud_run_v2_service.function["deliver"].template[0].vpc_access) == 1 && length(google_cloud_run_v2_service.function["targets"].template[0].vpc_access) == 0
    error_message = "the fixed addresses are for those who call targets"
  }

  assert {
    condition     = google_cloud_run_v2_service.function["dispatch"].template[0].max_instance_request_concurrency == local.functions["dispatch"].concurrency
    error_message = "functions.json says how many dispatch takes"
  }
}

run "opaque_tokens" {
  variables {
    introspection_client_id = "callout"
    environment             = { CALLOUT_LOG_BODIES = "none" }
    deletion_protection     = false
  }

  assert {
    condition     = toset(keys(google_secret_manager_secret_iam_member.introspection)) == toset(keys(local.http_services))
    error_message = "HTTP functions alone may read the introspection secret"
  }
}
