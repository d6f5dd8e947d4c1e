# The secrets without their values: a value that is written here is in the state for all who can read it. infra/README.md says how versions
# are added.
resource "google_secret_manager_secret" "seal_keys" {
  secret_id           = "callout-seal-keys"
  deletion_protection = var.deletion_protection

  replication {
    auto {}
  }

  depends_on = [google_project_service.api]
}

resource "google_secret_manager_secret" "introspection" {
  count               = var.introspection_client_id == "" ? 0 : 1
  secret_id           = "callout-introspection-secret"
  deletion_protection = var.deletion_protection

  replication {
    auto {}
  }

  depends_on = [google_project_service.api]
}
