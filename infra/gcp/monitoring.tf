resource "google_monitoring_alert_policy" "backlog" {
  display_name          = "Callout: messages wait"
  combiner              = "OR"
  notification_channels = var.notification_channels

  dynamic "conditions" {
    for_each = google_pubsub_subscription.push
    content {
      display_name = "The oldest message of ${conditions.key} has waited for ten minutes"
      condition_threshold {
        filter          = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${conditions.value.name}\" AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
        comparison      = "COMPARISON_GT"
        threshold_value = 600
        duration        = "300s"
        aggregations {
          alignment_period   = "60s"
          per_series_aligner = "ALIGN_MAX"
        }
      }
    }
  }

  documentation {
    content = "A function fails or is too slow: its own faults come back to the queue, those of targets never do. Look at its log for \"push comes back\". A sweep that runs on holds its tick for up to ten minutes."
  }
}

resource "google_monitoring_alert_policy" "errors" {
  display_name          = "Callout: requests fail"
  combiner              = "OR"
  notification_channels = var.notification_channels

  conditions {
    display_name = "More than 5 % of a service's requests are answered with 5xx"
    condition_prometheus_query_language {
      query               = <<-EOT
        sum by (service_name) (rate(run_googleapis_com:request_count{monitored_resource="cloud_run_revision", service_name=~"callout-.*", response_code_class="5xx"}[5m]))
          / sum by (service_name) (rate(run_googleapis_com:request_count{monitored_resource="cloud_run_revision", service_name=~"callout-.*"}[5m])) > 0.05
      EOT
      duration            = "300s"
      evaluation_interval = "60s"
    }
  }
}

resource "google_monitoring_alert_policy" "dead_letters" {
  display_name          = "Callout: deliveries were given up"
  combiner              = "OR"
  notification_channels = var.notification_channels

  conditions {
    display_name = "There are dead letters"
    condition_threshold {
      filter          = "resource.type = \"pubsub_topic\" AND resource.labels.topic_id = \"${google_pubsub_topic.topic["dead-letters"].name}\" AND metric.type = \"pubsub.googleapis.com/topic/send_message_operation_count\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"
      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_DELTA"
      }
    }
  }

  documentation {
    content = "`callout delivery list --state dead` says which and why; `callout delivery redeliver` puts them back."
  }
}

# Retries, valves, the outbox and web keys all hang on it.
resource "google_monitoring_alert_policy" "sweep" {
  display_name          = "Callout: nothing sweeps"
  combiner              = "OR"
  notification_channels = var.notification_channels

  conditions {
    display_name = "No tick was answered well for 20 minutes"
    condition_absent {
      filter   = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"${google_cloud_run_v2_service.function["sweep"].name}\" AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code_class = \"2xx\""
      duration = "1200s"
      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_DELTA"
      }
    }
  }
}

resource "google_monitoring_dashboard" "callout" {
  dashboard_json = jsonencode({
    displayName = "Callout"
    mosaicLayout = {
      columns = 12
      tiles = [
        for i, tile in [
          ["Requests by service", "sum by (service_name) (rate(run_googleapis_com:request_count{monitored_resource=\"cloud_run_revision\", service_name=~\"callout-.*\"}[5m]))"],
          ["5xx by service", "sum by (service_name) (rate(run_googleapis_com:request_count{monitored_resource=\"cloud_run_revision\", service_name=~\"callout-.*\", response_code_class=\"5xx\"}[5m]))"],
          ["Latency, 99 % (ms)", "histogram_quantile(0.99, sum by (service_name, le) (rate(run_googleapis_com:request_latencies_bucket{monitored_resource=\"cloud_run_revision\", service_name=~\"callout-.*\"}[5m])))"],
          ["Instances", "sum by (service_name) (run_googleapis_com:container_instance_count{monitored_resource=\"cloud_run_revision\", service_name=~\"callout-.*\"})"],
          ["Oldest message (s)", "max by (subscription_id) (pubsub_googleapis_com:subscription_oldest_unacked_message_age{monitored_resource=\"pubsub_subscription\", subscription_id=~\"${join("|", keys(local.event_services))}\"})"],
          ["Messages published", "sum by (topic_id) (rate(pubsub_googleapis_com:topic_send_message_operation_count{monitored_resource=\"pubsub_topic\", topic_id=~\"${join("|", local.topics)}\"}[5m]))"],
          ["Documents written", "sum (rate(firestore_googleapis_com:document_write_ops_count{monitored_resource=\"firestore.googleapis.com/Database\"}[5m]))"],
          ["Ports of the fixed addresses", "sum by (nat_gateway_name) (compute_googleapis_com:nat_port_usage{monitored_resource=\"gce_instance\"})"],
          ] : {
          xPos   = i % 2 * 6
          yPos   = floor(i / 2) * 4
          width  = 6
          height = 4
          widget = {
            title = tile[0]
            xyChart = {
              dataSets = [{ plotType = "LINE", timeSeriesQuery = { prometheusQuery = tile[1] } }]
            }
          }
        }
      ]
    }
  })

  depends_on = [google_project_service.api]
}
