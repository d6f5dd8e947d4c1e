resource "google_pubsub_topic" "topic" {
  for_each   = local.topics
  name       = each.key
  depends_on = [google_project_service.api]
}

# As whom the queue pushes: an account for each subscription, so that a token for one function is none for another.
resource "google_service_account" "push" {
  for_each     = local.event_services
  account_id   = "callout-push-${each.key}"
  display_name = "Callout: pushes to ${each.key}"
}

resource "google_service_account_iam_member" "push_tokens" {
  for_each           = local.event_services
  service_account_id = google_service_account.push[each.key].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

# There is no dead-letter policy: a failed delivery is acknowledged and recorded, and an outage of ours gives up nothing.
resource "google_pubsub_subscription" "push" {
  for_each                   = local.event_services
  name                       = each.key
  topic                      = google_pubsub_topic.topic[each.value.topic].id
  ack_deadline_seconds       = 600
  message_retention_duration = "604800s"

  # Never, however long nothing comes.
  expiration_policy {
    ttl = ""
  }

  retry_policy {
    minimum_backoff = "0.5s"
    maximum_backoff = "60s"
  }

  push_config {
    push_endpoint = "${google_cloud_run_v2_service.function[each.key].uri}${each.value.paths[0]}"

    oidc_token {
      service_account_email = google_service_account.push[each.key].email
      audience              = "callout-push-${each.key}"
    }
  }

  depends_on = [google_service_account_iam_member.push_tokens]
}

# What was given up, kept for whoever looks: callout delivery redeliver works from the ledger and does not need it.
resource "google_pubsub_subscription" "dead_letters" {
  name                       = "dead-letters"
  topic                      = google_pubsub_topic.topic["dead-letters"].id
  ack_deadline_seconds       = 600
  message_retention_duration = "2678400s"

  expiration_policy {
    ttl = ""
  }
}

# The sweeper's clock. It also rotates web keys.
resource "google_cloud_scheduler_job" "ticks" {
  name      = "callout-ticks"
  region    = var.region
  schedule  = "* * * * *"
  time_zone = "Etc/UTC"

  pubsub_target {
    topic_name = google_pubsub_topic.topic["ticks"].id
    data       = base64encode("{}")
  }

  depends_on = [google_project_service.api]
}
