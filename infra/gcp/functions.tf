resource "google_service_account" "function" {
  for_each     = local.services
  account_id   = "callout-${each.key}"
  display_name = "Callout: ${each.key}"
}

resource "google_project_iam_member" "database" {
  for_each = { for name, s in local.services : name => local.settings[s.function].database if local.settings[s.function].database != null }
  project  = var.project
  role     = local.roles[each.value]
  member   = google_service_account.function[each.key].member

  # No other database of the project.
  condition {
    title      = "callout"
    expression = "resource.name == '${google_firestore_database.callout.id}'"
  }
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = local.publishing
  topic    = google_pubsub_topic.topic[each.value.topic].id
  role     = "roles/pubsub.publisher"
  member   = google_service_account.function[each.value.service].member
}

resource "google_secret_manager_secret_iam_member" "seal_keys" {
  for_each  = { for name, s in local.services : name => s if local.settings[s.function].secrets }
  secret_id = google_secret_manager_secret.seal_keys.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function[each.key].member
}

resource "google_secret_manager_secret_iam_member" "introspection" {
  for_each  = var.introspection_client_id == "" ? {} : local.http_services
  secret_id = google_secret_manager_secret.introspection[0].id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function[each.key].member
}

resource "google_cloud_run_v2_service" "function" {
  for_each            = local.services
  name                = "callout-${each.key}"
  location            = var.region
  deletion_protection = var.deletion_protection

  # The load balancer reaches HTTP functions, the queue reaches event functions, and nobody goes past them.
  ingress = contains(keys(local.event_services), each.key) ? "INGRESS_TRAFFIC_INTERNAL_ONLY" : "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"

  # Functions check the tokens themselves: callers have those of the issuer, and the platform's own check would take the signature off the
  # queue's, which are Google's.
  invoker_iam_disabled = true

  template {
    service_account                  = google_service_account.function[each.key].email
    timeout                          = "${local.settings[each.value.function].timeout}s"
    max_instance_request_concurrency = try(local.functions[each.value.function].concurrency, local.settings[each.value.function].concurrency)

    scaling {
      min_instance_count = local.settings[each.value.function].min
      max_instance_count = local.settings[each.value.function].max
    }

    # Only what calls customers goes through the network with the fixed addresses, all of it: a way out beside it would be another address.
    dynamic "vpc_access" {
      for_each = local.settings[each.value.function].calls_targets ? [google_compute_subnetwork.egress.id] : []
      content {
        egress = "ALL_TRAFFIC"
        network_interfaces {
          subnetwork = vpc_access.value
        }
      }
    }

    containers {
      image = var.image

      # HTTP/2 without TLS, as gRPC needs it, all the way to the process; it serves HTTP/1.1 on the same port.
      ports {
        name           = "h2c"
        container_port = 8080
      }

      resources {
        limits   = { cpu = local.settings[each.value.function].cpu, memory = local.settings[each.value.function].memory }
        cpu_idle = true
      }

      startup_probe {
        period_seconds    = 1
        failure_threshold = 30
        http_get {
          path = "/health"
        }
      }

      liveness_probe {
        period_seconds = 30
        http_get {
          path = "/health"
        }
      }

      dynamic "env" {
        for_each = merge(
          var.environment,
          {
            FUNCTION_TARGET      = each.value.function
            GOOGLE_CLOUD_PROJECT = var.project
            CALLOUT_DATABASE     = google_firestore_database.callout.name
            CALLOUT_ISSUER       = var.issuer
            CALLOUT_AUDIENCE     = var.audience
            CALLOUT_URL          = "https://${var.domain}"
          },
          each.key == "console" && var.console_client_id != "" ? {
            CALLOUT_CONSOLE_CLIENT_ID = var.console_client_id
          } : {},
          contains(keys(local.event_services), each.key) ? {
            CALLOUT_PUSH_AUDIENCE = "callout-push-${each.key}"
            CALLOUT_PUSH_ACCOUNTS = google_service_account.push[each.key].email
          } : {},
          var.introspection_client_id != "" && contains(keys(local.http_services), each.key) ? {
            CALLOUT_INTROSPECTION_CLIENT_ID = var.introspection_client_id
          } : {},
        )
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = local.settings[each.value.function].secrets ? [google_secret_manager_secret.seal_keys.secret_id] : []
        content {
          name = "CALLOUT_SEAL_KEYS"
          value_source {
            secret_key_ref {
              secret  = env.value
              version = var.seal_keys_version
            }
          }
        }
      }

      dynamic "env" {
        for_each = contains(keys(local.http_services), each.key) ? google_secret_manager_secret.introspection[*].secret_id : []
        content {
          name = "CALLOUT_INTROSPECTION_CLIENT_SECRET"
          value_source {
            secret_key_ref {
              secret  = env.value
              version = var.introspection_secret_version
            }
          }
        }
      }
    }
  }

  depends_on = [
    google_project_service.api,
    google_project_iam_member.database,
    google_pubsub_topic_iam_member.publisher,
    google_secret_manager_secret_iam_member.seal_keys,
    google_secret_manager_secret_iam_member.introspection,
  ]
}
