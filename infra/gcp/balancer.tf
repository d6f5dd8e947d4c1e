resource "google_compute_global_address" "api" {
  name       = "callout"
  depends_on = [google_project_service.api]
}

resource "google_compute_region_network_endpoint_group" "function" {
  for_each              = local.http_services
  name                  = "callout-${each.key}"
  region                = var.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = google_cloud_run_v2_service.function[each.key].name
  }
}

resource "google_compute_backend_service" "function" {
  for_each              = local.http_services
  name                  = "callout-${each.key}"
  load_balancing_scheme = "EXTERNAL_MANAGED"

  backend {
    group = google_compute_region_network_endpoint_group.function[each.key].id
  }

  log_config {
    enable = false # a function logs its requests itself
  }
}

# The longest path decides, as in the functions' own mux. A path that ends in a slash there is all below it.
resource "google_compute_url_map" "api" {
  name            = "callout"
  default_service = google_compute_backend_service.function["executions"].id # which refuses what it does not know as all do

  host_rule {
    hosts        = [var.domain]
    path_matcher = "functions"
  }

  path_matcher {
    name            = "functions"
    default_service = google_compute_backend_service.function["executions"].id

    dynamic "path_rule" {
      for_each = local.http_services
      content {
        paths   = [for path in path_rule.value.paths : endswith(path, "/") ? "${path}*" : path]
        service = google_compute_backend_service.function[path_rule.key].id
      }
    }
  }
}

resource "google_compute_managed_ssl_certificate" "api" {
  name = "callout-${substr(sha256(var.domain), 0, 8)}"

  managed {
    domains = [var.domain]
  }

  # It is in use until there is the next one, which needs another name.
  lifecycle {
    create_before_destroy = true
  }

  depends_on = [google_project_service.api]
}

resource "google_compute_ssl_policy" "api" {
  name            = "callout"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
  depends_on      = [google_project_service.api]
}

resource "google_compute_target_https_proxy" "api" {
  name             = "callout"
  url_map          = google_compute_url_map.api.id
  ssl_certificates = [google_compute_managed_ssl_certificate.api.id]
  ssl_policy       = google_compute_ssl_policy.api.id
}

resource "google_compute_global_forwarding_rule" "https" {
  name                  = "callout-https"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.api.id
  port_range            = "443"
  target                = google_compute_target_https_proxy.api.id
}

resource "google_compute_url_map" "redirect" {
  name = "callout-redirect"

  default_url_redirect {
    https_redirect         = true
    redirect_response_code = "PERMANENT_REDIRECT"
    strip_query            = false
  }

  depends_on = [google_project_service.api]
}

resource "google_compute_target_http_proxy" "redirect" {
  name    = "callout-redirect"
  url_map = google_compute_url_map.redirect.id
}

resource "google_compute_global_forwarding_rule" "http" {
  name                  = "callout-http"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.api.id
  port_range            = "80"
  target                = google_compute_target_http_proxy.redirect.id
}
