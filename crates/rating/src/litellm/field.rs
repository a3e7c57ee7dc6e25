//! What a field of LiteLLM's price map means in a price book.

use domain::Pool;

/// A field's meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// Money per token of a pool.
    Tokens {
        pool: Pool,
        variant: Variant,
    },
    /// Money per unit of a meter; one unit of the field is `10^-shift` units of the meter.
    Unit {
        meter: &'static str,
        shift: i32,
    },
    /// Money per web search, by the size of the search context.
    SearchContext,
    /// All prices times a factor, under an attribute's value.
    Multiplier {
        attribute: &'static str,
        value: String,
    },
    /// Several multipliers in one object.
    ProviderSpecific,
    Provider,
    /// Says nothing about prices.
    NoPrice,
    /// Nothing that a price book can say, as far as is known.
    Unknown,
}

/// Under which conditions a token price holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Variant {
    /// `None` is the standard tier.
    pub(super) tier: Option<&'static str>,
    /// Holds when the prompt has more tokens than this.
    pub(super) over: Option<u64>,
}

const TIERS: &[(&str, &str)] =
    &[("_batches", "batch"), ("_flex", "flex"), ("_priority", "priority")];

const POOLS: &[(&str, Pool)] = &[
    ("input_cost_per_token", Pool::Input),
    ("output_cost_per_token", Pool::Output),
    ("cache_read_input_token_cost", Pool::CacheRead),
    ("input_cost_per_token_cache_hit", Pool::CacheRead),
    ("cache_creation_input_token_cost", Pool::CacheWrite),
    ("cache_creation_input_token_cost_above_1hr", Pool::CacheWrite1h),
    ("input_cost_per_audio_token", Pool::AudioInput),
    ("input_cost_per_image_token", Pool::ImageInput),
    ("input_cost_per_video_token", Pool::VideoInput),
    ("cache_read_input_audio_token_cost", Pool::CacheReadAudio),
    ("cache_read_input_token_cost_per_audio_token", Pool::CacheReadAudio),
    ("cache_read_input_image_token_cost", Pool::CacheReadImage),
    ("cache_creation_input_audio_token_cost", Pool::CacheWriteAudio),
    ("output_cost_per_reasoning_token", Pool::Reasoning),
    ("output_cost_per_audio_token", Pool::AudioOutput),
    ("output_cost_per_image_token", Pool::ImageOutput),
];

/// Prices that are not per token: the meter that counts the unit, and the power of ten from the
/// field's unit to it.
const METERS: &[(&str, &str, i32)] = &[
    ("output_cost_per_image", "image", 0),
    ("input_cost_per_image", "input_image", 0),
    ("input_cost_per_pixel", "input_pixels", 0),
    ("output_cost_per_pixel", "output_pixels", 0),
    ("input_cost_per_second", "input_seconds", 0),
    ("output_cost_per_second", "output_seconds", 0),
    ("input_cost_per_audio_per_second", "audio_input_seconds", 0),
    ("input_cost_per_video_per_second", "video_input_seconds", 0),
    ("output_cost_per_video_per_second", "video_output_seconds", 0),
    ("input_cost_per_character", "input_characters", 0),
    ("output_cost_per_character", "output_characters", 0),
    ("input_cost_per_query", "query", 0),
    ("input_cost_per_request", "request", 0),
    ("ocr_cost_per_page", "pages", 0),
    ("annotation_cost_per_page", "annotation_pages", 0),
    ("code_interpreter_cost_per_session", "code_interpreter_session", 0),
    ("file_search_cost_per_1k_calls", "file_search_call", -3),
];

const MULTIPLIER_PREFIX: &str = "regional_processing_uplift_multiplier_";

/// Limits, abilities and provenance.
const WITHOUT_PRICE: &[&str] = &[
    "mode",
    "source",
    "deprecation_date",
    "rpm",
    "tpm",
    "output_vector_size",
    "tool_use_system_prompt_tokens",
    "prompt_cache_min_tokens",
    "uses_embed_content",
    "gemini_native_audio",
    "gemini_audio_only_live",
    "multi_vendor",
];
const WITHOUT_PRICE_PREFIXES: &[&str] = &["supports_", "supported_", "max_"];

impl Field {
    pub(super) fn of(name: &str) -> Self {
        match name {
            "litellm_provider" => return Self::Provider,
            "search_context_cost_per_query" => return Self::SearchContext,
            "provider_specific_entry" => return Self::ProviderSpecific,
            _ => {}
        }
        if WITHOUT_PRICE.contains(&name)
            || WITHOUT_PRICE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        {
            return Self::NoPrice;
        }
        if let Some(region) = name.strip_prefix(MULTIPLIER_PREFIX) {
            return Self::Multiplier { attribute: "inference_geo", value: region.to_owned() };
        }
        if let Some((_, meter, shift)) = METERS.iter().find(|(field, ..)| *field == name) {
            return Self::Unit { meter, shift: *shift };
        }
        let (base, tier) = TIERS
            .iter()
            .find_map(|(suffix, tier)| Some((name.strip_suffix(suffix)?, Some(*tier))))
            .unwrap_or((name, None));
        let (base, over) = without_threshold(base);
        match POOLS.iter().find(|(field, _)| *field == base) {
            Some((_, pool)) => Self::Tokens { pool: *pool, variant: Variant { tier, over } },
            None => Self::Unknown,
        }
    }
}

/// `…_above_200k_tokens` is over 200,000 tokens.
fn without_threshold(name: &str) -> (&str, Option<u64>) {
    let threshold = || {
        let (base, thousands) = name.strip_suffix("k_tokens")?.rsplit_once("_above_")?;
        Some((base, thousands.parse::<u64>().ok()?.checked_mul(1_000)?))
    };
    threshold().map_or((name, None), |(base, over)| (base, Some(over)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_tier_and_threshold_from_the_name() {
        let tokens = |pool, tier, over| Field::Tokens { pool, variant: Variant { tier, over } };
        for (name, field) in [
            ("input_cost_per_token", tokens(Pool::Input, None, None)),
            (
                "cache_creation_input_token_cost_above_1hr_above_200k_tokens",
                tokens(Pool::CacheWrite1h, None, Some(200_000)),
            ),
            (
                "output_cost_per_token_above_272k_tokens_priority",
                tokens(Pool::Output, Some("priority"), Some(272_000)),
            ),
            ("output_cost_per_image", Field::Unit { meter: "image", shift: 0 }),
            ("output_cost_per_image_batches", Field::Unknown),
            ("output_cost_per_video_token", Field::Unknown),
            ("input_cost_per_image_above_128k_tokens", Field::Unknown),
        ] {
            assert_eq!(Field::of(name), field, "{name}");
        }
    }
}
