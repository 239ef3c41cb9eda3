impl serde::Serialize for FlameGraph {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.names.is_empty() {
            len += 1;
        }
        if !self.levels.is_empty() {
            len += 1;
        }
        if self.total != 0 {
            len += 1;
        }
        if self.max_self != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("querier.v1.FlameGraph", len)?;
        if !self.names.is_empty() {
            struct_ser.serialize_field("names", &self.names)?;
        }
        if !self.levels.is_empty() {
            struct_ser.serialize_field("levels", &self.levels)?;
        }
        if self.total != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("total", ToString::to_string(&self.total).as_str())?;
        }
        if self.max_self != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("maxSelf", ToString::to_string(&self.max_self).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for FlameGraph {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "names",
            "levels",
            "total",
            "max_self",
            "maxSelf",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Names,
            Levels,
            Total,
            MaxSelf,
            __SkipField__,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "names" => Ok(GeneratedField::Names),
                            "levels" => Ok(GeneratedField::Levels),
                            "total" => Ok(GeneratedField::Total),
                            "maxSelf" | "max_self" => Ok(GeneratedField::MaxSelf),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = FlameGraph;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct querier.v1.FlameGraph")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<FlameGraph, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut names__ = None;
                let mut levels__ = None;
                let mut total__ = None;
                let mut max_self__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Names => {
                            if names__.is_some() {
                                return Err(serde::de::Error::duplicate_field("names"));
                            }
                            names__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Levels => {
                            if levels__.is_some() {
                                return Err(serde::de::Error::duplicate_field("levels"));
                            }
                            levels__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Total => {
                            if total__.is_some() {
                                return Err(serde::de::Error::duplicate_field("total"));
                            }
                            total__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MaxSelf => {
                            if max_self__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxSelf"));
                            }
                            max_self__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(FlameGraph {
                    names: names__.unwrap_or_default(),
                    levels: levels__.unwrap_or_default(),
                    total: total__.unwrap_or_default(),
                    max_self: max_self__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("querier.v1.FlameGraph", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Level {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.values.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("querier.v1.Level", len)?;
        if !self.values.is_empty() {
            struct_ser.serialize_field("values", &self.values.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Level {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "values",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Values,
            __SkipField__,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "values" => Ok(GeneratedField::Values),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Level;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct querier.v1.Level")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Level, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut values__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Values => {
                            if values__.is_some() {
                                return Err(serde::de::Error::duplicate_field("values"));
                            }
                            values__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::NumberDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Level {
                    values: values__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("querier.v1.Level", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ProfileFormat {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "PROFILE_FORMAT_UNSPECIFIED",
            Self::Flamegraph => "PROFILE_FORMAT_FLAMEGRAPH",
            Self::Tree => "PROFILE_FORMAT_TREE",
            Self::Dot => "PROFILE_FORMAT_DOT",
            Self::Pprof => "PROFILE_FORMAT_PPROF",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for ProfileFormat {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "PROFILE_FORMAT_UNSPECIFIED",
            "PROFILE_FORMAT_FLAMEGRAPH",
            "PROFILE_FORMAT_TREE",
            "PROFILE_FORMAT_DOT",
            "PROFILE_FORMAT_PPROF",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = ProfileFormat;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "PROFILE_FORMAT_UNSPECIFIED" => Ok(ProfileFormat::Unspecified),
                    "PROFILE_FORMAT_FLAMEGRAPH" => Ok(ProfileFormat::Flamegraph),
                    "PROFILE_FORMAT_TREE" => Ok(ProfileFormat::Tree),
                    "PROFILE_FORMAT_DOT" => Ok(ProfileFormat::Dot),
                    "PROFILE_FORMAT_PPROF" => Ok(ProfileFormat::Pprof),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for ProfileTypesRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.start != 0 {
            len += 1;
        }
        if self.end != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("querier.v1.ProfileTypesRequest", len)?;
        if self.start != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("start", ToString::to_string(&self.start).as_str())?;
        }
        if self.end != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("end", ToString::to_string(&self.end).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ProfileTypesRequest {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "start",
            "end",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Start,
            End,
            __SkipField__,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "start" => Ok(GeneratedField::Start),
                            "end" => Ok(GeneratedField::End),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ProfileTypesRequest;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct querier.v1.ProfileTypesRequest")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ProfileTypesRequest, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut start__ = None;
                let mut end__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Start => {
                            if start__.is_some() {
                                return Err(serde::de::Error::duplicate_field("start"));
                            }
                            start__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::End => {
                            if end__.is_some() {
                                return Err(serde::de::Error::duplicate_field("end"));
                            }
                            end__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(ProfileTypesRequest {
                    start: start__.unwrap_or_default(),
                    end: end__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("querier.v1.ProfileTypesRequest", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ProfileTypesResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.profile_types.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("querier.v1.ProfileTypesResponse", len)?;
        if !self.profile_types.is_empty() {
            struct_ser.serialize_field("profileTypes", &self.profile_types)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ProfileTypesResponse {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "profile_types",
            "profileTypes",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            ProfileTypes,
            __SkipField__,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "profileTypes" | "profile_types" => Ok(GeneratedField::ProfileTypes),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ProfileTypesResponse;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct querier.v1.ProfileTypesResponse")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ProfileTypesResponse, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut profile_types__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::ProfileTypes => {
                            if profile_types__.is_some() {
                                return Err(serde::de::Error::duplicate_field("profileTypes"));
                            }
                            profile_types__ = Some(map_.next_value()?);
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(ProfileTypesResponse {
                    profile_types: profile_types__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("querier.v1.ProfileTypesResponse", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for SelectMergeProfileRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.profile_type_id.is_empty() {
            len += 1;
        }
        if !self.label_selector.is_empty() {
            len += 1;
        }
        if self.start != 0 {
            len += 1;
        }
        if self.end != 0 {
            len += 1;
        }
        if self.max_nodes.is_some() {
            len += 1;
        }
        if self.stack_trace_selector.is_some() {
            len += 1;
        }
        if !self.profile_id_selector.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("querier.v1.SelectMergeProfileRequest", len)?;
        if !self.profile_type_id.is_empty() {
            struct_ser.serialize_field("profileTypeID", &self.profile_type_id)?;
        }
        if !self.label_selector.is_empty() {
            struct_ser.serialize_field("labelSelector", &self.label_selector)?;
        }
        if self.start != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("start", ToString::to_string(&self.start).as_str())?;
        }
        if self.end != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("end", ToString::to_string(&self.end).as_str())?;
        }
        if let Some(v) = self.max_nodes.as_ref() {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("maxNodes", ToString::to_string(&v).as_str())?;
        }
        if let Some(v) = self.stack_trace_selector.as_ref() {
            struct_ser.serialize_field("stackTraceSelector", v)?;
        }
        if !self.profile_id_selector.is_empty() {
            struct_ser.serialize_field("profileIdSelector", &self.profile_id_selector)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for SelectMergeProfileRequest {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "profile_typeID",
            "profileTypeID",
            "label_selector",
            "labelSelector",
            "start",
            "end",
            "max_nodes",
            "maxNodes",
            "stack_trace_selector",
            "stackTraceSelector",
            "profile_id_selector",
            "profileIdSelector",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            ProfileTypeId,
            LabelSelector,
            Start,
            End,
            MaxNodes,
            StackTraceSelector,
            ProfileIdSelector,
            __SkipField__,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "profileTypeID" | "profile_typeID" => Ok(GeneratedField::ProfileTypeId),
                            "labelSelector" | "label_selector" => Ok(GeneratedField::LabelSelector),
                            "start" => Ok(GeneratedField::Start),
                            "end" => Ok(GeneratedField::End),
                            "maxNodes" | "max_nodes" => Ok(GeneratedField::MaxNodes),
                            "stackTraceSelector" | "stack_trace_selector" => Ok(GeneratedField::StackTraceSelector),
                            "profileIdSelector" | "profile_id_selector" => Ok(GeneratedField::ProfileIdSelector),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = SelectMergeProfileRequest;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct querier.v1.SelectMergeProfileRequest")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<SelectMergeProfileRequest, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut profile_type_id__ = None;
                let mut label_selector__ = None;
                let mut start__ = None;
                let mut end__ = None;
                let mut max_nodes__ = None;
                let mut stack_trace_selector__ = None;
                let mut profile_id_selector__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::ProfileTypeId => {
                            if profile_type_id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("profileTypeID"));
                            }
                            profile_type_id__ = Some(map_.next_value()?);
                        }
                        GeneratedField::LabelSelector => {
                            if label_selector__.is_some() {
                                return Err(serde::de::Error::duplicate_field("labelSelector"));
                            }
                            label_selector__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Start => {
                            if start__.is_some() {
                                return Err(serde::de::Error::duplicate_field("start"));
                            }
                            start__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::End => {
                            if end__.is_some() {
                                return Err(serde::de::Error::duplicate_field("end"));
                            }
                            end__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MaxNodes => {
                            if max_nodes__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxNodes"));
                            }
                            max_nodes__ = 
                                map_.next_value::<::std::option::Option<::pbjson::private::NumberDeserialize<_>>>()?.map(|x| x.0)
                            ;
                        }
                        GeneratedField::StackTraceSelector => {
                            if stack_trace_selector__.is_some() {
                                return Err(serde::de::Error::duplicate_field("stackTraceSelector"));
                            }
                            stack_trace_selector__ = map_.next_value()?;
                        }
                        GeneratedField::ProfileIdSelector => {
                            if profile_id_selector__.is_some() {
                                return Err(serde::de::Error::duplicate_field("profileIdSelector"));
                            }
                            profile_id_selector__ = Some(map_.next_value()?);
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(SelectMergeProfileRequest {
                    profile_type_id: profile_type_id__.unwrap_or_default(),
                    label_selector: label_selector__.unwrap_or_default(),
                    start: start__.unwrap_or_default(),
                    end: end__.unwrap_or_default(),
                    max_nodes: max_nodes__,
                    stack_trace_selector: stack_trace_selector__,
                    profile_id_selector: profile_id_selector__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("querier.v1.SelectMergeProfileRequest", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for SelectMergeStacktracesRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.profile_type_id.is_empty() {
            len += 1;
        }
        if !self.label_selector.is_empty() {
            len += 1;
        }
        if self.start != 0 {
            len += 1;
        }
        if self.end != 0 {
            len += 1;
        }
        if self.max_nodes.is_some() {
            len += 1;
        }
        if self.format != 0 {
            len += 1;
        }
        if self.stack_trace_selector.is_some() {
            len += 1;
        }
        if !self.profile_id_selector.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("querier.v1.SelectMergeStacktracesRequest", len)?;
        if !self.profile_type_id.is_empty() {
            struct_ser.serialize_field("profileTypeID", &self.profile_type_id)?;
        }
        if !self.label_selector.is_empty() {
            struct_ser.serialize_field("labelSelector", &self.label_selector)?;
        }
        if self.start != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("start", ToString::to_string(&self.start).as_str())?;
        }
        if self.end != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("end", ToString::to_string(&self.end).as_str())?;
        }
        if let Some(v) = self.max_nodes.as_ref() {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("maxNodes", ToString::to_string(&v).as_str())?;
        }
        if self.format != 0 {
            let v = ProfileFormat::try_from(self.format)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.format)))?;
            struct_ser.serialize_field("format", &v)?;
        }
        if let Some(v) = self.stack_trace_selector.as_ref() {
            struct_ser.serialize_field("stackTraceSelector", v)?;
        }
        if !self.profile_id_selector.is_empty() {
            struct_ser.serialize_field("profileIdSelector", &self.profile_id_selector)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for SelectMergeStacktracesRequest {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "profile_typeID",
            "profileTypeID",
            "label_selector",
            "labelSelector",
            "start",
            "end",
            "max_nodes",
            "maxNodes",
            "format",
            "stack_trace_selector",
            "stackTraceSelector",
            "profile_id_selector",
            "profileIdSelector",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            ProfileTypeId,
            LabelSelector,
            Start,
            End,
            MaxNodes,
            Format,
            StackTraceSelector,
            ProfileIdSelector,
            __SkipField__,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "profileTypeID" | "profile_typeID" => Ok(GeneratedField::ProfileTypeId),
                            "labelSelector" | "label_selector" => Ok(GeneratedField::LabelSelector),
                            "start" => Ok(GeneratedField::Start),
                            "end" => Ok(GeneratedField::End),
                            "maxNodes" | "max_nodes" => Ok(GeneratedField::MaxNodes),
                            "format" => Ok(GeneratedField::Format),
                            "stackTraceSelector" | "stack_trace_selector" => Ok(GeneratedField::StackTraceSelector),
                            "profileIdSelector" | "profile_id_selector" => Ok(GeneratedField::ProfileIdSelector),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = SelectMergeStacktracesRequest;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct querier.v1.SelectMergeStacktracesRequest")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<SelectMergeStacktracesRequest, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut profile_type_id__ = None;
                let mut label_selector__ = None;
                let mut start__ = None;
                let mut end__ = None;
                let mut max_nodes__ = None;
                let mut format__ = None;
                let mut stack_trace_selector__ = None;
                let mut profile_id_selector__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::ProfileTypeId => {
                            if profile_type_id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("profileTypeID"));
                            }
                            profile_type_id__ = Some(map_.next_value()?);
                        }
                        GeneratedField::LabelSelector => {
                            if label_selector__.is_some() {
                                return Err(serde::de::Error::duplicate_field("labelSelector"));
                            }
                            label_selector__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Start => {
                            if start__.is_some() {
                                return Err(serde::de::Error::duplicate_field("start"));
                            }
                            start__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::End => {
                            if end__.is_some() {
                                return Err(serde::de::Error::duplicate_field("end"));
                            }
                            end__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MaxNodes => {
                            if max_nodes__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxNodes"));
                            }
                            max_nodes__ = 
                                map_.next_value::<::std::option::Option<::pbjson::private::NumberDeserialize<_>>>()?.map(|x| x.0)
                            ;
                        }
                        GeneratedField::Format => {
                            if format__.is_some() {
                                return Err(serde::de::Error::duplicate_field("format"));
                            }
                            format__ = Some(map_.next_value::<ProfileFormat>()? as i32);
                        }
                        GeneratedField::StackTraceSelector => {
                            if stack_trace_selector__.is_some() {
                                return Err(serde::de::Error::duplicate_field("stackTraceSelector"));
                            }
                            stack_trace_selector__ = map_.next_value()?;
                        }
                        GeneratedField::ProfileIdSelector => {
                            if profile_id_selector__.is_some() {
                                return Err(serde::de::Error::duplicate_field("profileIdSelector"));
                            }
                            profile_id_selector__ = Some(map_.next_value()?);
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(SelectMergeStacktracesRequest {
                    profile_type_id: profile_type_id__.unwrap_or_default(),
                    label_selector: label_selector__.unwrap_or_default(),
                    start: start__.unwrap_or_default(),
                    end: end__.unwrap_or_default(),
                    max_nodes: max_nodes__,
                    format: format__.unwrap_or_default(),
                    stack_trace_selector: stack_trace_selector__,
                    profile_id_selector: profile_id_selector__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("querier.v1.SelectMergeStacktracesRequest", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for SelectMergeStacktracesResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.flamegraph.is_some() {
            len += 1;
        }
        if !self.tree.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("querier.v1.SelectMergeStacktracesResponse", len)?;
        if let Some(v) = self.flamegraph.as_ref() {
            struct_ser.serialize_field("flamegraph", v)?;
        }
        if !self.tree.is_empty() {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("tree", pbjson::private::base64::encode(&self.tree).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for SelectMergeStacktracesResponse {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "flamegraph",
            "tree",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Flamegraph,
            Tree,
            __SkipField__,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "flamegraph" => Ok(GeneratedField::Flamegraph),
                            "tree" => Ok(GeneratedField::Tree),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = SelectMergeStacktracesResponse;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct querier.v1.SelectMergeStacktracesResponse")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<SelectMergeStacktracesResponse, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut flamegraph__ = None;
                let mut tree__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Flamegraph => {
                            if flamegraph__.is_some() {
                                return Err(serde::de::Error::duplicate_field("flamegraph"));
                            }
                            flamegraph__ = map_.next_value()?;
                        }
                        GeneratedField::Tree => {
                            if tree__.is_some() {
                                return Err(serde::de::Error::duplicate_field("tree"));
                            }
                            tree__ = 
                                Some(map_.next_value::<::pbjson::private::BytesDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(SelectMergeStacktracesResponse {
                    flamegraph: flamegraph__,
                    tree: tree__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("querier.v1.SelectMergeStacktracesResponse", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for SelectSeriesRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.profile_type_id.is_empty() {
            len += 1;
        }
        if !self.label_selector.is_empty() {
            len += 1;
        }
        if self.start != 0 {
            len += 1;
        }
        if self.end != 0 {
            len += 1;
        }
        if !self.group_by.is_empty() {
            len += 1;
        }
        if self.step != 0. {
            len += 1;
        }
        if self.aggregation.is_some() {
            len += 1;
        }
        if self.stack_trace_selector.is_some() {
            len += 1;
        }
        if self.limit.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("querier.v1.SelectSeriesRequest", len)?;
        if !self.profile_type_id.is_empty() {
            struct_ser.serialize_field("profileTypeID", &self.profile_type_id)?;
        }
        if !self.label_selector.is_empty() {
            struct_ser.serialize_field("labelSelector", &self.label_selector)?;
        }
        if self.start != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("start", ToString::to_string(&self.start).as_str())?;
        }
        if self.end != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("end", ToString::to_string(&self.end).as_str())?;
        }
        if !self.group_by.is_empty() {
            struct_ser.serialize_field("groupBy", &self.group_by)?;
        }
        if self.step != 0. {
            struct_ser.serialize_field("step", &self.step)?;
        }
        if let Some(v) = self.aggregation.as_ref() {
            let v = super::super::types::v1::TimeSeriesAggregationType::try_from(*v)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", *v)))?;
            struct_ser.serialize_field("aggregation", &v)?;
        }
        if let Some(v) = self.stack_trace_selector.as_ref() {
            struct_ser.serialize_field("stackTraceSelector", v)?;
        }
        if let Some(v) = self.limit.as_ref() {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("limit", ToString::to_string(&v).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for SelectSeriesRequest {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "profile_typeID",
            "profileTypeID",
            "label_selector",
            "labelSelector",
            "start",
            "end",
            "group_by",
            "groupBy",
            "step",
            "aggregation",
            "stack_trace_selector",
            "stackTraceSelector",
            "limit",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            ProfileTypeId,
            LabelSelector,
            Start,
            End,
            GroupBy,
            Step,
            Aggregation,
            StackTraceSelector,
            Limit,
            __SkipField__,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "profileTypeID" | "profile_typeID" => Ok(GeneratedField::ProfileTypeId),
                            "labelSelector" | "label_selector" => Ok(GeneratedField::LabelSelector),
                            "start" => Ok(GeneratedField::Start),
                            "end" => Ok(GeneratedField::End),
                            "groupBy" | "group_by" => Ok(GeneratedField::GroupBy),
                            "step" => Ok(GeneratedField::Step),
                            "aggregation" => Ok(GeneratedField::Aggregation),
                            "stackTraceSelector" | "stack_trace_selector" => Ok(GeneratedField::StackTraceSelector),
                            "limit" => Ok(GeneratedField::Limit),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = SelectSeriesRequest;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct querier.v1.SelectSeriesRequest")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<SelectSeriesRequest, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut profile_type_id__ = None;
                let mut label_selector__ = None;
                let mut start__ = None;
                let mut end__ = None;
                let mut group_by__ = None;
                let mut step__ = None;
                let mut aggregation__ = None;
                let mut stack_trace_selector__ = None;
                let mut limit__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::ProfileTypeId => {
                            if profile_type_id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("profileTypeID"));
                            }
                            profile_type_id__ = Some(map_.next_value()?);
                        }
                        GeneratedField::LabelSelector => {
                            if label_selector__.is_some() {
                                return Err(serde::de::Error::duplicate_field("labelSelector"));
                            }
                            label_selector__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Start => {
                            if start__.is_some() {
                                return Err(serde::de::Error::duplicate_field("start"));
                            }
                            start__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::End => {
                            if end__.is_some() {
                                return Err(serde::de::Error::duplicate_field("end"));
                            }
                            end__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::GroupBy => {
                            if group_by__.is_some() {
                                return Err(serde::de::Error::duplicate_field("groupBy"));
                            }
                            group_by__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Step => {
                            if step__.is_some() {
                                return Err(serde::de::Error::duplicate_field("step"));
                            }
                            step__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Aggregation => {
                            if aggregation__.is_some() {
                                return Err(serde::de::Error::duplicate_field("aggregation"));
                            }
                            aggregation__ = map_.next_value::<::std::option::Option<super::super::types::v1::TimeSeriesAggregationType>>()?.map(|x| x as i32);
                        }
                        GeneratedField::StackTraceSelector => {
                            if stack_trace_selector__.is_some() {
                                return Err(serde::de::Error::duplicate_field("stackTraceSelector"));
                            }
                            stack_trace_selector__ = map_.next_value()?;
                        }
                        GeneratedField::Limit => {
                            if limit__.is_some() {
                                return Err(serde::de::Error::duplicate_field("limit"));
                            }
                            limit__ = 
                                map_.next_value::<::std::option::Option<::pbjson::private::NumberDeserialize<_>>>()?.map(|x| x.0)
                            ;
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(SelectSeriesRequest {
                    profile_type_id: profile_type_id__.unwrap_or_default(),
                    label_selector: label_selector__.unwrap_or_default(),
                    start: start__.unwrap_or_default(),
                    end: end__.unwrap_or_default(),
                    group_by: group_by__.unwrap_or_default(),
                    step: step__.unwrap_or_default(),
                    aggregation: aggregation__,
                    stack_trace_selector: stack_trace_selector__,
                    limit: limit__,
                })
            }
        }
        deserializer.deserialize_struct("querier.v1.SelectSeriesRequest", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for SelectSeriesResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.series.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("querier.v1.SelectSeriesResponse", len)?;
        if !self.series.is_empty() {
            struct_ser.serialize_field("series", &self.series)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for SelectSeriesResponse {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "series",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Series,
            __SkipField__,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "series" => Ok(GeneratedField::Series),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = SelectSeriesResponse;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct querier.v1.SelectSeriesResponse")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<SelectSeriesResponse, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut series__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Series => {
                            if series__.is_some() {
                                return Err(serde::de::Error::duplicate_field("series"));
                            }
                            series__ = Some(map_.next_value()?);
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(SelectSeriesResponse {
                    series: series__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("querier.v1.SelectSeriesResponse", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for SeriesRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.matchers.is_empty() {
            len += 1;
        }
        if !self.label_names.is_empty() {
            len += 1;
        }
        if self.start != 0 {
            len += 1;
        }
        if self.end != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("querier.v1.SeriesRequest", len)?;
        if !self.matchers.is_empty() {
            struct_ser.serialize_field("matchers", &self.matchers)?;
        }
        if !self.label_names.is_empty() {
            struct_ser.serialize_field("labelNames", &self.label_names)?;
        }
        if self.start != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("start", ToString::to_string(&self.start).as_str())?;
        }
        if self.end != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("end", ToString::to_string(&self.end).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for SeriesRequest {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "matchers",
            "label_names",
            "labelNames",
            "start",
            "end",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Matchers,
            LabelNames,
            Start,
            End,
            __SkipField__,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "matchers" => Ok(GeneratedField::Matchers),
                            "labelNames" | "label_names" => Ok(GeneratedField::LabelNames),
                            "start" => Ok(GeneratedField::Start),
                            "end" => Ok(GeneratedField::End),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = SeriesRequest;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct querier.v1.SeriesRequest")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<SeriesRequest, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut matchers__ = None;
                let mut label_names__ = None;
                let mut start__ = None;
                let mut end__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Matchers => {
                            if matchers__.is_some() {
                                return Err(serde::de::Error::duplicate_field("matchers"));
                            }
                            matchers__ = Some(map_.next_value()?);
                        }
                        GeneratedField::LabelNames => {
                            if label_names__.is_some() {
                                return Err(serde::de::Error::duplicate_field("labelNames"));
                            }
                            label_names__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Start => {
                            if start__.is_some() {
                                return Err(serde::de::Error::duplicate_field("start"));
                            }
                            start__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::End => {
                            if end__.is_some() {
                                return Err(serde::de::Error::duplicate_field("end"));
                            }
                            end__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(SeriesRequest {
                    matchers: matchers__.unwrap_or_default(),
                    label_names: label_names__.unwrap_or_default(),
                    start: start__.unwrap_or_default(),
                    end: end__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("querier.v1.SeriesRequest", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for SeriesResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.labels_set.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("querier.v1.SeriesResponse", len)?;
        if !self.labels_set.is_empty() {
            struct_ser.serialize_field("labelsSet", &self.labels_set)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for SeriesResponse {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "labels_set",
            "labelsSet",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            LabelsSet,
            __SkipField__,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "labelsSet" | "labels_set" => Ok(GeneratedField::LabelsSet),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = SeriesResponse;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct querier.v1.SeriesResponse")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<SeriesResponse, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut labels_set__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::LabelsSet => {
                            if labels_set__.is_some() {
                                return Err(serde::de::Error::duplicate_field("labelsSet"));
                            }
                            labels_set__ = Some(map_.next_value()?);
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(SeriesResponse {
                    labels_set: labels_set__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("querier.v1.SeriesResponse", FIELDS, GeneratedVisitor)
    }
}
