//! Generated sessions, whose page views are a table of their own, with the page views as a list.

use emporia_core::catalog::Catalog;

/// Whether the sessions of the catalog can get their page views.
pub(super) fn has_page_views(catalog: &Catalog, table: &str) -> bool {
    table == "sessions" && catalog.tables.contains_key("page_views")
}

/// Sessions with their page views in the order in which they were seen.
///
/// The order is made of the list and not by the aggregate, and the texts are plain ones and not
/// views: an ordered `array_agg`, and lists of views, keep for every group what the whole batch
/// holds, so that time and memory grow with the square of the number of sessions.
pub(super) const SESSIONS: &str = "\
SELECT s.*, p.page_views
FROM sessions AS s
LEFT JOIN (
    SELECT session_id,
           array_sort(array_agg(named_struct(
               'seq', seq,
               'ts', ts,
               'page_type', arrow_cast(page_type, 'Utf8'),
               'product_id', arrow_cast(product_id, 'Utf8'),
               'category_id', arrow_cast(category_id, 'Utf8'),
               'view_duration', view_duration
           ))) AS page_views
    FROM page_views
    GROUP BY session_id
) AS p ON s.session_id = p.session_id";
