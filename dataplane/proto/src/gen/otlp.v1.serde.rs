impl serde::Serialize for AnyValue {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.value.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("otlp.v1.AnyValue", len)?;
        if let Some(v) = self.value.as_ref() {
            match v {
                any_value::Value::StringValue(v) => {
                    struct_ser.serialize_field("stringValue", v)?;
                }
                any_value::Value::BoolValue(v) => {
                    struct_ser.serialize_field("boolValue", v)?;
                }
                any_value::Value::IntValue(v) => {
                    #[allow(clippy::needless_borrow)]
                    #[allow(clippy::needless_borrows_for_generic_args)]
                    struct_ser.serialize_field("intValue", ToString::to_string(&v).as_str())?;
                }
                any_value::Value::DoubleValue(v) => {
                    struct_ser.serialize_field("doubleValue", v)?;
                }
                any_value::Value::StringValueStrindex(v) => {
                    struct_ser.serialize_field("stringValueStrindex", v)?;
                }
            }
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for AnyValue {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "string_value",
            "stringValue",
            "bool_value",
            "boolValue",
            "int_value",
            "intValue",
            "double_value",
            "doubleValue",
            "string_value_strindex",
            "stringValueStrindex",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            StringValue,
            BoolValue,
            IntValue,
            DoubleValue,
            StringValueStrindex,
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
                            "stringValue" | "string_value" => Ok(GeneratedField::StringValue),
                            "boolValue" | "bool_value" => Ok(GeneratedField::BoolValue),
                            "intValue" | "int_value" => Ok(GeneratedField::IntValue),
                            "doubleValue" | "double_value" => Ok(GeneratedField::DoubleValue),
                            "stringValueStrindex" | "string_value_strindex" => Ok(GeneratedField::StringValueStrindex),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = AnyValue;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct otlp.v1.AnyValue")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<AnyValue, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut value__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::StringValue => {
                            if value__.is_some() {
                                return Err(serde::de::Error::duplicate_field("stringValue"));
                            }
                            value__ = map_.next_value::<::std::option::Option<_>>()?.map(any_value::Value::StringValue);
                        }
                        GeneratedField::BoolValue => {
                            if value__.is_some() {
                                return Err(serde::de::Error::duplicate_field("boolValue"));
                            }
                            value__ = map_.next_value::<::std::option::Option<_>>()?.map(any_value::Value::BoolValue);
                        }
                        GeneratedField::IntValue => {
                            if value__.is_some() {
                                return Err(serde::de::Error::duplicate_field("intValue"));
                            }
                            value__ = map_.next_value::<::std::option::Option<::pbjson::private::NumberDeserialize<_>>>()?.map(|x| any_value::Value::IntValue(x.0));
                        }
                        GeneratedField::DoubleValue => {
                            if value__.is_some() {
                                return Err(serde::de::Error::duplicate_field("doubleValue"));
                            }
                            value__ = map_.next_value::<::std::option::Option<::pbjson::private::NumberDeserialize<_>>>()?.map(|x| any_value::Value::DoubleValue(x.0));
                        }
                        GeneratedField::StringValueStrindex => {
                            if value__.is_some() {
                                return Err(serde::de::Error::duplicate_field("stringValueStrindex"));
                            }
                            value__ = map_.next_value::<::std::option::Option<::pbjson::private::NumberDeserialize<_>>>()?.map(|x| any_value::Value::StringValueStrindex(x.0));
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(AnyValue {
                    value: value__,
                })
            }
        }
        deserializer.deserialize_struct("otlp.v1.AnyValue", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Attribute {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.key_strindex != 0 {
            len += 1;
        }
        if self.value.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("otlp.v1.Attribute", len)?;
        if self.key_strindex != 0 {
            struct_ser.serialize_field("keyStrindex", &self.key_strindex)?;
        }
        if let Some(v) = self.value.as_ref() {
            struct_ser.serialize_field("value", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Attribute {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "key_strindex",
            "keyStrindex",
            "value",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            KeyStrindex,
            Value,
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
                            "keyStrindex" | "key_strindex" => Ok(GeneratedField::KeyStrindex),
                            "value" => Ok(GeneratedField::Value),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Attribute;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct otlp.v1.Attribute")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Attribute, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut key_strindex__ = None;
                let mut value__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::KeyStrindex => {
                            if key_strindex__.is_some() {
                                return Err(serde::de::Error::duplicate_field("keyStrindex"));
                            }
                            key_strindex__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Value => {
                            if value__.is_some() {
                                return Err(serde::de::Error::duplicate_field("value"));
                            }
                            value__ = map_.next_value()?;
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Attribute {
                    key_strindex: key_strindex__.unwrap_or_default(),
                    value: value__,
                })
            }
        }
        deserializer.deserialize_struct("otlp.v1.Attribute", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Dictionary {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.mapping_table.is_empty() {
            len += 1;
        }
        if !self.location_table.is_empty() {
            len += 1;
        }
        if !self.function_table.is_empty() {
            len += 1;
        }
        if !self.link_table.is_empty() {
            len += 1;
        }
        if !self.string_table.is_empty() {
            len += 1;
        }
        if !self.attribute_table.is_empty() {
            len += 1;
        }
        if !self.stack_table.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("otlp.v1.Dictionary", len)?;
        if !self.mapping_table.is_empty() {
            struct_ser.serialize_field("mappingTable", &self.mapping_table)?;
        }
        if !self.location_table.is_empty() {
            struct_ser.serialize_field("locationTable", &self.location_table)?;
        }
        if !self.function_table.is_empty() {
            struct_ser.serialize_field("functionTable", &self.function_table)?;
        }
        if !self.link_table.is_empty() {
            struct_ser.serialize_field("linkTable", &self.link_table)?;
        }
        if !self.string_table.is_empty() {
            struct_ser.serialize_field("stringTable", &self.string_table)?;
        }
        if !self.attribute_table.is_empty() {
            struct_ser.serialize_field("attributeTable", &self.attribute_table)?;
        }
        if !self.stack_table.is_empty() {
            struct_ser.serialize_field("stackTable", &self.stack_table)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Dictionary {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "mapping_table",
            "mappingTable",
            "location_table",
            "locationTable",
            "function_table",
            "functionTable",
            "link_table",
            "linkTable",
            "string_table",
            "stringTable",
            "attribute_table",
            "attributeTable",
            "stack_table",
            "stackTable",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            MappingTable,
            LocationTable,
            FunctionTable,
            LinkTable,
            StringTable,
            AttributeTable,
            StackTable,
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
                            "mappingTable" | "mapping_table" => Ok(GeneratedField::MappingTable),
                            "locationTable" | "location_table" => Ok(GeneratedField::LocationTable),
                            "functionTable" | "function_table" => Ok(GeneratedField::FunctionTable),
                            "linkTable" | "link_table" => Ok(GeneratedField::LinkTable),
                            "stringTable" | "string_table" => Ok(GeneratedField::StringTable),
                            "attributeTable" | "attribute_table" => Ok(GeneratedField::AttributeTable),
                            "stackTable" | "stack_table" => Ok(GeneratedField::StackTable),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Dictionary;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct otlp.v1.Dictionary")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Dictionary, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut mapping_table__ = None;
                let mut location_table__ = None;
                let mut function_table__ = None;
                let mut link_table__ = None;
                let mut string_table__ = None;
                let mut attribute_table__ = None;
                let mut stack_table__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::MappingTable => {
                            if mapping_table__.is_some() {
                                return Err(serde::de::Error::duplicate_field("mappingTable"));
                            }
                            mapping_table__ = Some(map_.next_value()?);
                        }
                        GeneratedField::LocationTable => {
                            if location_table__.is_some() {
                                return Err(serde::de::Error::duplicate_field("locationTable"));
                            }
                            location_table__ = Some(map_.next_value()?);
                        }
                        GeneratedField::FunctionTable => {
                            if function_table__.is_some() {
                                return Err(serde::de::Error::duplicate_field("functionTable"));
                            }
                            function_table__ = Some(map_.next_value()?);
                        }
                        GeneratedField::LinkTable => {
                            if link_table__.is_some() {
                                return Err(serde::de::Error::duplicate_field("linkTable"));
                            }
                            link_table__ = Some(map_.next_value()?);
                        }
                        GeneratedField::StringTable => {
                            if string_table__.is_some() {
                                return Err(serde::de::Error::duplicate_field("stringTable"));
                            }
                            string_table__ = Some(map_.next_value()?);
                        }
                        GeneratedField::AttributeTable => {
                            if attribute_table__.is_some() {
                                return Err(serde::de::Error::duplicate_field("attributeTable"));
                            }
                            attribute_table__ = Some(map_.next_value()?);
                        }
                        GeneratedField::StackTable => {
                            if stack_table__.is_some() {
                                return Err(serde::de::Error::duplicate_field("stackTable"));
                            }
                            stack_table__ = Some(map_.next_value()?);
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Dictionary {
                    mapping_table: mapping_table__.unwrap_or_default(),
                    location_table: location_table__.unwrap_or_default(),
                    function_table: function_table__.unwrap_or_default(),
                    link_table: link_table__.unwrap_or_default(),
                    string_table: string_table__.unwrap_or_default(),
                    attribute_table: attribute_table__.unwrap_or_default(),
                    stack_table: stack_table__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("otlp.v1.Dictionary", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ExportRequest {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.resource_profiles.is_empty() {
            len += 1;
        }
        if self.dictionary.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("otlp.v1.ExportRequest", len)?;
        if !self.resource_profiles.is_empty() {
            struct_ser.serialize_field("resourceProfiles", &self.resource_profiles)?;
        }
        if let Some(v) = self.dictionary.as_ref() {
            struct_ser.serialize_field("dictionary", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ExportRequest {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "resource_profiles",
            "resourceProfiles",
            "dictionary",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            ResourceProfiles,
            Dictionary,
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
                            "resourceProfiles" | "resource_profiles" => Ok(GeneratedField::ResourceProfiles),
                            "dictionary" => Ok(GeneratedField::Dictionary),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ExportRequest;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct otlp.v1.ExportRequest")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ExportRequest, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut resource_profiles__ = None;
                let mut dictionary__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::ResourceProfiles => {
                            if resource_profiles__.is_some() {
                                return Err(serde::de::Error::duplicate_field("resourceProfiles"));
                            }
                            resource_profiles__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Dictionary => {
                            if dictionary__.is_some() {
                                return Err(serde::de::Error::duplicate_field("dictionary"));
                            }
                            dictionary__ = map_.next_value()?;
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(ExportRequest {
                    resource_profiles: resource_profiles__.unwrap_or_default(),
                    dictionary: dictionary__,
                })
            }
        }
        deserializer.deserialize_struct("otlp.v1.ExportRequest", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ExportResponse {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.partial_success.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("otlp.v1.ExportResponse", len)?;
        if let Some(v) = self.partial_success.as_ref() {
            struct_ser.serialize_field("partialSuccess", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ExportResponse {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "partial_success",
            "partialSuccess",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            PartialSuccess,
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
                            "partialSuccess" | "partial_success" => Ok(GeneratedField::PartialSuccess),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ExportResponse;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct otlp.v1.ExportResponse")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ExportResponse, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut partial_success__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::PartialSuccess => {
                            if partial_success__.is_some() {
                                return Err(serde::de::Error::duplicate_field("partialSuccess"));
                            }
                            partial_success__ = map_.next_value()?;
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(ExportResponse {
                    partial_success: partial_success__,
                })
            }
        }
        deserializer.deserialize_struct("otlp.v1.ExportResponse", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Function {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.name_strindex != 0 {
            len += 1;
        }
        if self.system_name_strindex != 0 {
            len += 1;
        }
        if self.filename_strindex != 0 {
            len += 1;
        }
        if self.start_line != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("otlp.v1.Function", len)?;
        if self.name_strindex != 0 {
            struct_ser.serialize_field("nameStrindex", &self.name_strindex)?;
        }
        if self.system_name_strindex != 0 {
            struct_ser.serialize_field("systemNameStrindex", &self.system_name_strindex)?;
        }
        if self.filename_strindex != 0 {
            struct_ser.serialize_field("filenameStrindex", &self.filename_strindex)?;
        }
        if self.start_line != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("startLine", ToString::to_string(&self.start_line).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Function {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "name_strindex",
            "nameStrindex",
            "system_name_strindex",
            "systemNameStrindex",
            "filename_strindex",
            "filenameStrindex",
            "start_line",
            "startLine",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            NameStrindex,
            SystemNameStrindex,
            FilenameStrindex,
            StartLine,
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
                            "nameStrindex" | "name_strindex" => Ok(GeneratedField::NameStrindex),
                            "systemNameStrindex" | "system_name_strindex" => Ok(GeneratedField::SystemNameStrindex),
                            "filenameStrindex" | "filename_strindex" => Ok(GeneratedField::FilenameStrindex),
                            "startLine" | "start_line" => Ok(GeneratedField::StartLine),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Function;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct otlp.v1.Function")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Function, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut name_strindex__ = None;
                let mut system_name_strindex__ = None;
                let mut filename_strindex__ = None;
                let mut start_line__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::NameStrindex => {
                            if name_strindex__.is_some() {
                                return Err(serde::de::Error::duplicate_field("nameStrindex"));
                            }
                            name_strindex__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::SystemNameStrindex => {
                            if system_name_strindex__.is_some() {
                                return Err(serde::de::Error::duplicate_field("systemNameStrindex"));
                            }
                            system_name_strindex__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::FilenameStrindex => {
                            if filename_strindex__.is_some() {
                                return Err(serde::de::Error::duplicate_field("filenameStrindex"));
                            }
                            filename_strindex__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::StartLine => {
                            if start_line__.is_some() {
                                return Err(serde::de::Error::duplicate_field("startLine"));
                            }
                            start_line__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Function {
                    name_strindex: name_strindex__.unwrap_or_default(),
                    system_name_strindex: system_name_strindex__.unwrap_or_default(),
                    filename_strindex: filename_strindex__.unwrap_or_default(),
                    start_line: start_line__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("otlp.v1.Function", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for KeyValue {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.key.is_empty() {
            len += 1;
        }
        if self.value.is_some() {
            len += 1;
        }
        if self.key_strindex != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("otlp.v1.KeyValue", len)?;
        if !self.key.is_empty() {
            struct_ser.serialize_field("key", &self.key)?;
        }
        if let Some(v) = self.value.as_ref() {
            struct_ser.serialize_field("value", v)?;
        }
        if self.key_strindex != 0 {
            struct_ser.serialize_field("keyStrindex", &self.key_strindex)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for KeyValue {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "key",
            "value",
            "key_strindex",
            "keyStrindex",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Key,
            Value,
            KeyStrindex,
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
                            "key" => Ok(GeneratedField::Key),
                            "value" => Ok(GeneratedField::Value),
                            "keyStrindex" | "key_strindex" => Ok(GeneratedField::KeyStrindex),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = KeyValue;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct otlp.v1.KeyValue")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<KeyValue, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut key__ = None;
                let mut value__ = None;
                let mut key_strindex__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Key => {
                            if key__.is_some() {
                                return Err(serde::de::Error::duplicate_field("key"));
                            }
                            key__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Value => {
                            if value__.is_some() {
                                return Err(serde::de::Error::duplicate_field("value"));
                            }
                            value__ = map_.next_value()?;
                        }
                        GeneratedField::KeyStrindex => {
                            if key_strindex__.is_some() {
                                return Err(serde::de::Error::duplicate_field("keyStrindex"));
                            }
                            key_strindex__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(KeyValue {
                    key: key__.unwrap_or_default(),
                    value: value__,
                    key_strindex: key_strindex__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("otlp.v1.KeyValue", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Line {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.function_index != 0 {
            len += 1;
        }
        if self.line != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("otlp.v1.Line", len)?;
        if self.function_index != 0 {
            struct_ser.serialize_field("functionIndex", &self.function_index)?;
        }
        if self.line != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("line", ToString::to_string(&self.line).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Line {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "function_index",
            "functionIndex",
            "line",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            FunctionIndex,
            Line,
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
                            "functionIndex" | "function_index" => Ok(GeneratedField::FunctionIndex),
                            "line" => Ok(GeneratedField::Line),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Line;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct otlp.v1.Line")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Line, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut function_index__ = None;
                let mut line__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::FunctionIndex => {
                            if function_index__.is_some() {
                                return Err(serde::de::Error::duplicate_field("functionIndex"));
                            }
                            function_index__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Line => {
                            if line__.is_some() {
                                return Err(serde::de::Error::duplicate_field("line"));
                            }
                            line__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Line {
                    function_index: function_index__.unwrap_or_default(),
                    line: line__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("otlp.v1.Line", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Link {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.trace_id.is_empty() {
            len += 1;
        }
        if !self.span_id.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("otlp.v1.Link", len)?;
        if !self.trace_id.is_empty() {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("traceId", pbjson::private::base64::encode(&self.trace_id).as_str())?;
        }
        if !self.span_id.is_empty() {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("spanId", pbjson::private::base64::encode(&self.span_id).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Link {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "trace_id",
            "traceId",
            "span_id",
            "spanId",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            TraceId,
            SpanId,
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
                            "traceId" | "trace_id" => Ok(GeneratedField::TraceId),
                            "spanId" | "span_id" => Ok(GeneratedField::SpanId),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Link;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct otlp.v1.Link")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Link, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut trace_id__ = None;
                let mut span_id__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::TraceId => {
                            if trace_id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("traceId"));
                            }
                            trace_id__ = 
                                Some(map_.next_value::<::pbjson::private::BytesDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::SpanId => {
                            if span_id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("spanId"));
                            }
                            span_id__ = 
                                Some(map_.next_value::<::pbjson::private::BytesDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Link {
                    trace_id: trace_id__.unwrap_or_default(),
                    span_id: span_id__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("otlp.v1.Link", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Location {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.mapping_index != 0 {
            len += 1;
        }
        if self.address != 0 {
            len += 1;
        }
        if !self.lines.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("otlp.v1.Location", len)?;
        if self.mapping_index != 0 {
            struct_ser.serialize_field("mappingIndex", &self.mapping_index)?;
        }
        if self.address != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("address", ToString::to_string(&self.address).as_str())?;
        }
        if !self.lines.is_empty() {
            struct_ser.serialize_field("lines", &self.lines)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Location {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "mapping_index",
            "mappingIndex",
            "address",
            "lines",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            MappingIndex,
            Address,
            Lines,
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
                            "mappingIndex" | "mapping_index" => Ok(GeneratedField::MappingIndex),
                            "address" => Ok(GeneratedField::Address),
                            "lines" => Ok(GeneratedField::Lines),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Location;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct otlp.v1.Location")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Location, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut mapping_index__ = None;
                let mut address__ = None;
                let mut lines__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::MappingIndex => {
                            if mapping_index__.is_some() {
                                return Err(serde::de::Error::duplicate_field("mappingIndex"));
                            }
                            mapping_index__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Address => {
                            if address__.is_some() {
                                return Err(serde::de::Error::duplicate_field("address"));
                            }
                            address__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Lines => {
                            if lines__.is_some() {
                                return Err(serde::de::Error::duplicate_field("lines"));
                            }
                            lines__ = Some(map_.next_value()?);
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Location {
                    mapping_index: mapping_index__.unwrap_or_default(),
                    address: address__.unwrap_or_default(),
                    lines: lines__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("otlp.v1.Location", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Mapping {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.memory_start != 0 {
            len += 1;
        }
        if self.memory_limit != 0 {
            len += 1;
        }
        if self.file_offset != 0 {
            len += 1;
        }
        if self.filename_strindex != 0 {
            len += 1;
        }
        if !self.attribute_indices.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("otlp.v1.Mapping", len)?;
        if self.memory_start != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("memoryStart", ToString::to_string(&self.memory_start).as_str())?;
        }
        if self.memory_limit != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("memoryLimit", ToString::to_string(&self.memory_limit).as_str())?;
        }
        if self.file_offset != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("fileOffset", ToString::to_string(&self.file_offset).as_str())?;
        }
        if self.filename_strindex != 0 {
            struct_ser.serialize_field("filenameStrindex", &self.filename_strindex)?;
        }
        if !self.attribute_indices.is_empty() {
            struct_ser.serialize_field("attributeIndices", &self.attribute_indices)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Mapping {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "memory_start",
            "memoryStart",
            "memory_limit",
            "memoryLimit",
            "file_offset",
            "fileOffset",
            "filename_strindex",
            "filenameStrindex",
            "attribute_indices",
            "attributeIndices",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            MemoryStart,
            MemoryLimit,
            FileOffset,
            FilenameStrindex,
            AttributeIndices,
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
                            "memoryStart" | "memory_start" => Ok(GeneratedField::MemoryStart),
                            "memoryLimit" | "memory_limit" => Ok(GeneratedField::MemoryLimit),
                            "fileOffset" | "file_offset" => Ok(GeneratedField::FileOffset),
                            "filenameStrindex" | "filename_strindex" => Ok(GeneratedField::FilenameStrindex),
                            "attributeIndices" | "attribute_indices" => Ok(GeneratedField::AttributeIndices),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Mapping;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct otlp.v1.Mapping")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Mapping, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut memory_start__ = None;
                let mut memory_limit__ = None;
                let mut file_offset__ = None;
                let mut filename_strindex__ = None;
                let mut attribute_indices__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::MemoryStart => {
                            if memory_start__.is_some() {
                                return Err(serde::de::Error::duplicate_field("memoryStart"));
                            }
                            memory_start__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MemoryLimit => {
                            if memory_limit__.is_some() {
                                return Err(serde::de::Error::duplicate_field("memoryLimit"));
                            }
                            memory_limit__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::FileOffset => {
                            if file_offset__.is_some() {
                                return Err(serde::de::Error::duplicate_field("fileOffset"));
                            }
                            file_offset__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::FilenameStrindex => {
                            if filename_strindex__.is_some() {
                                return Err(serde::de::Error::duplicate_field("filenameStrindex"));
                            }
                            filename_strindex__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::AttributeIndices => {
                            if attribute_indices__.is_some() {
                                return Err(serde::de::Error::duplicate_field("attributeIndices"));
                            }
                            attribute_indices__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::NumberDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Mapping {
                    memory_start: memory_start__.unwrap_or_default(),
                    memory_limit: memory_limit__.unwrap_or_default(),
                    file_offset: file_offset__.unwrap_or_default(),
                    filename_strindex: filename_strindex__.unwrap_or_default(),
                    attribute_indices: attribute_indices__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("otlp.v1.Mapping", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for PartialSuccess {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.rejected_profiles != 0 {
            len += 1;
        }
        if !self.error_message.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("otlp.v1.PartialSuccess", len)?;
        if self.rejected_profiles != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("rejectedProfiles", ToString::to_string(&self.rejected_profiles).as_str())?;
        }
        if !self.error_message.is_empty() {
            struct_ser.serialize_field("errorMessage", &self.error_message)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for PartialSuccess {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "rejected_profiles",
            "rejectedProfiles",
            "error_message",
            "errorMessage",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            RejectedProfiles,
            ErrorMessage,
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
                            "rejectedProfiles" | "rejected_profiles" => Ok(GeneratedField::RejectedProfiles),
                            "errorMessage" | "error_message" => Ok(GeneratedField::ErrorMessage),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = PartialSuccess;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct otlp.v1.PartialSuccess")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<PartialSuccess, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut rejected_profiles__ = None;
                let mut error_message__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::RejectedProfiles => {
                            if rejected_profiles__.is_some() {
                                return Err(serde::de::Error::duplicate_field("rejectedProfiles"));
                            }
                            rejected_profiles__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::ErrorMessage => {
                            if error_message__.is_some() {
                                return Err(serde::de::Error::duplicate_field("errorMessage"));
                            }
                            error_message__ = Some(map_.next_value()?);
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(PartialSuccess {
                    rejected_profiles: rejected_profiles__.unwrap_or_default(),
                    error_message: error_message__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("otlp.v1.PartialSuccess", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Profile {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.sample_type.is_some() {
            len += 1;
        }
        if !self.samples.is_empty() {
            len += 1;
        }
        if self.time_unix_nano != 0 {
            len += 1;
        }
        if self.duration_nano != 0 {
            len += 1;
        }
        if self.period_type.is_some() {
            len += 1;
        }
        if self.period != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("otlp.v1.Profile", len)?;
        if let Some(v) = self.sample_type.as_ref() {
            struct_ser.serialize_field("sampleType", v)?;
        }
        if !self.samples.is_empty() {
            struct_ser.serialize_field("samples", &self.samples)?;
        }
        if self.time_unix_nano != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("timeUnixNano", ToString::to_string(&self.time_unix_nano).as_str())?;
        }
        if self.duration_nano != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("durationNano", ToString::to_string(&self.duration_nano).as_str())?;
        }
        if let Some(v) = self.period_type.as_ref() {
            struct_ser.serialize_field("periodType", v)?;
        }
        if self.period != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("period", ToString::to_string(&self.period).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Profile {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "sample_type",
            "sampleType",
            "samples",
            "time_unix_nano",
            "timeUnixNano",
            "duration_nano",
            "durationNano",
            "period_type",
            "periodType",
            "period",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            SampleType,
            Samples,
            TimeUnixNano,
            DurationNano,
            PeriodType,
            Period,
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
                            "sampleType" | "sample_type" => Ok(GeneratedField::SampleType),
                            "samples" => Ok(GeneratedField::Samples),
                            "timeUnixNano" | "time_unix_nano" => Ok(GeneratedField::TimeUnixNano),
                            "durationNano" | "duration_nano" => Ok(GeneratedField::DurationNano),
                            "periodType" | "period_type" => Ok(GeneratedField::PeriodType),
                            "period" => Ok(GeneratedField::Period),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Profile;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct otlp.v1.Profile")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Profile, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut sample_type__ = None;
                let mut samples__ = None;
                let mut time_unix_nano__ = None;
                let mut duration_nano__ = None;
                let mut period_type__ = None;
                let mut period__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::SampleType => {
                            if sample_type__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sampleType"));
                            }
                            sample_type__ = map_.next_value()?;
                        }
                        GeneratedField::Samples => {
                            if samples__.is_some() {
                                return Err(serde::de::Error::duplicate_field("samples"));
                            }
                            samples__ = Some(map_.next_value()?);
                        }
                        GeneratedField::TimeUnixNano => {
                            if time_unix_nano__.is_some() {
                                return Err(serde::de::Error::duplicate_field("timeUnixNano"));
                            }
                            time_unix_nano__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::DurationNano => {
                            if duration_nano__.is_some() {
                                return Err(serde::de::Error::duplicate_field("durationNano"));
                            }
                            duration_nano__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::PeriodType => {
                            if period_type__.is_some() {
                                return Err(serde::de::Error::duplicate_field("periodType"));
                            }
                            period_type__ = map_.next_value()?;
                        }
                        GeneratedField::Period => {
                            if period__.is_some() {
                                return Err(serde::de::Error::duplicate_field("period"));
                            }
                            period__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Profile {
                    sample_type: sample_type__,
                    samples: samples__.unwrap_or_default(),
                    time_unix_nano: time_unix_nano__.unwrap_or_default(),
                    duration_nano: duration_nano__.unwrap_or_default(),
                    period_type: period_type__,
                    period: period__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("otlp.v1.Profile", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Resource {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.attributes.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("otlp.v1.Resource", len)?;
        if !self.attributes.is_empty() {
            struct_ser.serialize_field("attributes", &self.attributes)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Resource {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "attributes",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Attributes,
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
                            "attributes" => Ok(GeneratedField::Attributes),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Resource;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct otlp.v1.Resource")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Resource, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut attributes__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Attributes => {
                            if attributes__.is_some() {
                                return Err(serde::de::Error::duplicate_field("attributes"));
                            }
                            attributes__ = Some(map_.next_value()?);
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Resource {
                    attributes: attributes__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("otlp.v1.Resource", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ResourceProfiles {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.resource.is_some() {
            len += 1;
        }
        if !self.scope_profiles.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("otlp.v1.ResourceProfiles", len)?;
        if let Some(v) = self.resource.as_ref() {
            struct_ser.serialize_field("resource", v)?;
        }
        if !self.scope_profiles.is_empty() {
            struct_ser.serialize_field("scopeProfiles", &self.scope_profiles)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ResourceProfiles {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "resource",
            "scope_profiles",
            "scopeProfiles",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Resource,
            ScopeProfiles,
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
                            "resource" => Ok(GeneratedField::Resource),
                            "scopeProfiles" | "scope_profiles" => Ok(GeneratedField::ScopeProfiles),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ResourceProfiles;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct otlp.v1.ResourceProfiles")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ResourceProfiles, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut resource__ = None;
                let mut scope_profiles__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Resource => {
                            if resource__.is_some() {
                                return Err(serde::de::Error::duplicate_field("resource"));
                            }
                            resource__ = map_.next_value()?;
                        }
                        GeneratedField::ScopeProfiles => {
                            if scope_profiles__.is_some() {
                                return Err(serde::de::Error::duplicate_field("scopeProfiles"));
                            }
                            scope_profiles__ = Some(map_.next_value()?);
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(ResourceProfiles {
                    resource: resource__,
                    scope_profiles: scope_profiles__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("otlp.v1.ResourceProfiles", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Sample {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.stack_index != 0 {
            len += 1;
        }
        if !self.attribute_indices.is_empty() {
            len += 1;
        }
        if self.link_index != 0 {
            len += 1;
        }
        if !self.values.is_empty() {
            len += 1;
        }
        if !self.timestamps_unix_nano.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("otlp.v1.Sample", len)?;
        if self.stack_index != 0 {
            struct_ser.serialize_field("stackIndex", &self.stack_index)?;
        }
        if !self.attribute_indices.is_empty() {
            struct_ser.serialize_field("attributeIndices", &self.attribute_indices)?;
        }
        if self.link_index != 0 {
            struct_ser.serialize_field("linkIndex", &self.link_index)?;
        }
        if !self.values.is_empty() {
            struct_ser.serialize_field("values", &self.values.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        }
        if !self.timestamps_unix_nano.is_empty() {
            struct_ser.serialize_field("timestampsUnixNano", &self.timestamps_unix_nano.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Sample {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "stack_index",
            "stackIndex",
            "attribute_indices",
            "attributeIndices",
            "link_index",
            "linkIndex",
            "values",
            "timestamps_unix_nano",
            "timestampsUnixNano",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            StackIndex,
            AttributeIndices,
            LinkIndex,
            Values,
            TimestampsUnixNano,
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
                            "stackIndex" | "stack_index" => Ok(GeneratedField::StackIndex),
                            "attributeIndices" | "attribute_indices" => Ok(GeneratedField::AttributeIndices),
                            "linkIndex" | "link_index" => Ok(GeneratedField::LinkIndex),
                            "values" => Ok(GeneratedField::Values),
                            "timestampsUnixNano" | "timestamps_unix_nano" => Ok(GeneratedField::TimestampsUnixNano),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Sample;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct otlp.v1.Sample")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Sample, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut stack_index__ = None;
                let mut attribute_indices__ = None;
                let mut link_index__ = None;
                let mut values__ = None;
                let mut timestamps_unix_nano__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::StackIndex => {
                            if stack_index__.is_some() {
                                return Err(serde::de::Error::duplicate_field("stackIndex"));
                            }
                            stack_index__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::AttributeIndices => {
                            if attribute_indices__.is_some() {
                                return Err(serde::de::Error::duplicate_field("attributeIndices"));
                            }
                            attribute_indices__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::NumberDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::LinkIndex => {
                            if link_index__.is_some() {
                                return Err(serde::de::Error::duplicate_field("linkIndex"));
                            }
                            link_index__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Values => {
                            if values__.is_some() {
                                return Err(serde::de::Error::duplicate_field("values"));
                            }
                            values__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::NumberDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::TimestampsUnixNano => {
                            if timestamps_unix_nano__.is_some() {
                                return Err(serde::de::Error::duplicate_field("timestampsUnixNano"));
                            }
                            timestamps_unix_nano__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::NumberDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Sample {
                    stack_index: stack_index__.unwrap_or_default(),
                    attribute_indices: attribute_indices__.unwrap_or_default(),
                    link_index: link_index__.unwrap_or_default(),
                    values: values__.unwrap_or_default(),
                    timestamps_unix_nano: timestamps_unix_nano__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("otlp.v1.Sample", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Scope {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.name.is_empty() {
            len += 1;
        }
        if !self.version.is_empty() {
            len += 1;
        }
        if !self.attributes.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("otlp.v1.Scope", len)?;
        if !self.name.is_empty() {
            struct_ser.serialize_field("name", &self.name)?;
        }
        if !self.version.is_empty() {
            struct_ser.serialize_field("version", &self.version)?;
        }
        if !self.attributes.is_empty() {
            struct_ser.serialize_field("attributes", &self.attributes)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Scope {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "name",
            "version",
            "attributes",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Name,
            Version,
            Attributes,
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
                            "name" => Ok(GeneratedField::Name),
                            "version" => Ok(GeneratedField::Version),
                            "attributes" => Ok(GeneratedField::Attributes),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Scope;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct otlp.v1.Scope")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Scope, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut name__ = None;
                let mut version__ = None;
                let mut attributes__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Name => {
                            if name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("name"));
                            }
                            name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Version => {
                            if version__.is_some() {
                                return Err(serde::de::Error::duplicate_field("version"));
                            }
                            version__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Attributes => {
                            if attributes__.is_some() {
                                return Err(serde::de::Error::duplicate_field("attributes"));
                            }
                            attributes__ = Some(map_.next_value()?);
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Scope {
                    name: name__.unwrap_or_default(),
                    version: version__.unwrap_or_default(),
                    attributes: attributes__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("otlp.v1.Scope", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ScopeProfiles {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.scope.is_some() {
            len += 1;
        }
        if !self.profiles.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("otlp.v1.ScopeProfiles", len)?;
        if let Some(v) = self.scope.as_ref() {
            struct_ser.serialize_field("scope", v)?;
        }
        if !self.profiles.is_empty() {
            struct_ser.serialize_field("profiles", &self.profiles)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ScopeProfiles {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "scope",
            "profiles",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Scope,
            Profiles,
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
                            "scope" => Ok(GeneratedField::Scope),
                            "profiles" => Ok(GeneratedField::Profiles),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ScopeProfiles;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct otlp.v1.ScopeProfiles")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ScopeProfiles, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut scope__ = None;
                let mut profiles__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Scope => {
                            if scope__.is_some() {
                                return Err(serde::de::Error::duplicate_field("scope"));
                            }
                            scope__ = map_.next_value()?;
                        }
                        GeneratedField::Profiles => {
                            if profiles__.is_some() {
                                return Err(serde::de::Error::duplicate_field("profiles"));
                            }
                            profiles__ = Some(map_.next_value()?);
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(ScopeProfiles {
                    scope: scope__,
                    profiles: profiles__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("otlp.v1.ScopeProfiles", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Stack {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.location_indices.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("otlp.v1.Stack", len)?;
        if !self.location_indices.is_empty() {
            struct_ser.serialize_field("locationIndices", &self.location_indices)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Stack {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "location_indices",
            "locationIndices",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            LocationIndices,
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
                            "locationIndices" | "location_indices" => Ok(GeneratedField::LocationIndices),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Stack;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct otlp.v1.Stack")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Stack, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut location_indices__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::LocationIndices => {
                            if location_indices__.is_some() {
                                return Err(serde::de::Error::duplicate_field("locationIndices"));
                            }
                            location_indices__ = 
                                Some(map_.next_value::<Vec<::pbjson::private::NumberDeserialize<_>>>()?
                                    .into_iter().map(|x| x.0).collect())
                            ;
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Stack {
                    location_indices: location_indices__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("otlp.v1.Stack", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ValueType {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.type_strindex != 0 {
            len += 1;
        }
        if self.unit_strindex != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("otlp.v1.ValueType", len)?;
        if self.type_strindex != 0 {
            struct_ser.serialize_field("typeStrindex", &self.type_strindex)?;
        }
        if self.unit_strindex != 0 {
            struct_ser.serialize_field("unitStrindex", &self.unit_strindex)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ValueType {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "type_strindex",
            "typeStrindex",
            "unit_strindex",
            "unitStrindex",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            TypeStrindex,
            UnitStrindex,
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
                            "typeStrindex" | "type_strindex" => Ok(GeneratedField::TypeStrindex),
                            "unitStrindex" | "unit_strindex" => Ok(GeneratedField::UnitStrindex),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ValueType;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct otlp.v1.ValueType")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ValueType, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut type_strindex__ = None;
                let mut unit_strindex__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::TypeStrindex => {
                            if type_strindex__.is_some() {
                                return Err(serde::de::Error::duplicate_field("typeStrindex"));
                            }
                            type_strindex__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::UnitStrindex => {
                            if unit_strindex__.is_some() {
                                return Err(serde::de::Error::duplicate_field("unitStrindex"));
                            }
                            unit_strindex__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(ValueType {
                    type_strindex: type_strindex__.unwrap_or_default(),
                    unit_strindex: unit_strindex__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("otlp.v1.ValueType", FIELDS, GeneratedVisitor)
    }
}
