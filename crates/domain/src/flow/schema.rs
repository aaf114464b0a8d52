//! The schema of a state: one closed object for each type, so that a field of another type is refused with its name.

use super::document::{
    FlowAsk, FlowBranch, FlowEnd, FlowMenu, FlowMessage, FlowSay, FlowState, FlowTool, FlowTransfer,
};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

impl PartialSchema for FlowState {
    fn schema() -> RefOr<Schema> {
        let forms = [
            ("menu", FlowMenu::schema()),
            ("ask", FlowAsk::schema()),
            ("say", FlowSay::schema()),
            ("branch", FlowBranch::schema()),
            ("tool", FlowTool::schema()),
            ("transfer", FlowTransfer::schema()),
            ("take_message", FlowMessage::schema()),
            ("end", FlowEnd::schema()),
        ];
        let choice = OneOfBuilder::new().description(Some("A step of the dialogue."));
        let choice = forms.into_iter().fold(choice, |choice, (name, form)| match form {
            RefOr::T(Schema::Object(mut object)) => {
                let kind = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([name]));
                object.properties.insert("type".to_owned(), kind.build().into());
                object.required.push("type".to_owned());
                choice.item(object)
            }
            other => choice.item(other),
        });
        choice.into()
    }
}

impl ToSchema for FlowState {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        FlowMenu::schemas(schemas);
    }
}
