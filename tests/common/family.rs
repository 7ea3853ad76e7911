//! The solvers of the global Newton family, to be run one after the other.

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    LazyCubic,
    Cubic,
    LazyRegularized,
    GradientRegularized,
    GradientNormalized,
    TrustRegion,
}

pub const FAMILY: [Member; 6] = [
    Member::LazyCubic,
    Member::Cubic,
    Member::LazyRegularized,
    Member::GradientRegularized,
    Member::GradientNormalized,
    Member::TrustRegion,
];

/// Evaluates the expression with the solver that `constructor` makes for the member.
macro_rules! with_member {
    ($member:expr, $constructor:ident, $solver:ident => $body:expr) => {
        match $member {
            Member::LazyCubic => {
                let $solver = raphson::LazyCubicNewton::$constructor();
                $body
            }
            Member::Cubic => {
                let $solver = raphson::CubicNewton::$constructor();
                $body
            }
            Member::LazyRegularized => {
                let $solver = raphson::LazyRegularizedNewton::$constructor();
                $body
            }
            Member::GradientRegularized => {
                let $solver = raphson::GradientRegularizedNewton::$constructor();
                $body
            }
            Member::GradientNormalized => {
                let $solver = raphson::GradientNormalizedNewton::$constructor();
                $body
            }
            Member::TrustRegion => {
                let $solver = raphson::TrustRegionNewton::$constructor();
                $body
            }
        }
    };
}
pub(crate) use with_member;
