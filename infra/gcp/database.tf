resource "google_firestore_database" "callout" {
  name                              = var.database
  location_id                       = var.database_location
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "PESSIMISTIC"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.deletion_protection ? "ABANDON" : "DELETE"
  depends_on                        = [google_project_service.api]
}

# firestore.indexes.json is the one source: the emulator refuses a query that it has no index for.
locals {
  database = jsondecode(file("${path.module}/../firestore.indexes.json"))
}

resource "google_firestore_index" "composite" {
  for_each    = { for i in local.database.indexes : join(" ", concat([i.collectionGroup, i.queryScope], i.fields[*].fieldPath)) => i }
  database    = google_firestore_database.callout.name
  collection  = each.value.collectionGroup
  query_scope = each.value.queryScope

  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path = fields.value.fieldPath
      order      = fields.value.order
    }
  }
}

# Single-field indexes where there are any, none elsewhere: a field that rises with time holds its collection to 500 writes a second.
resource "google_firestore_field" "single" {
  for_each   = { for f in local.database.fieldOverrides : "${f.collectionGroup}.${f.fieldPath}" => f }
  database   = google_firestore_database.callout.name
  collection = each.value.collectionGroup
  field      = each.value.fieldPath

  index_config {
    dynamic "indexes" {
      for_each = each.value.indexes
      content {
        order       = indexes.value.order
        query_scope = indexes.value.queryScope
      }
    }
  }

  dynamic "ttl_config" {
    for_each = try(each.value.ttl, false) ? [true] : []
    content {}
  }
}

resource "google_firestore_backup_schedule" "daily" {
  database  = google_firestore_database.callout.name
  retention = "604800s" # a week

  daily_recurrence {}
}

resource "google_firestore_backup_schedule" "weekly" {
  database  = google_firestore_database.callout.name
  retention = "8467200s" # 14 weeks, the longest there is

  weekly_recurrence {
    day = "SUNDAY"
  }
}
