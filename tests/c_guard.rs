//! No panic crosses the C boundary: outside the closures that a guard runs, an exported function
//! does nothing that could panic. The functions are read as syntax, not searched as text, and what
//! they call is followed down to the two places that catch.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;

use syn::{BinOp, Block, Expr, ImplItem, Item, Stmt};

/// The functions of src/ffi, by file and name.
type Functions = BTreeMap<(String, String), Function>;

struct Function {
    block: Block,
    exported: bool,
}

fn is_exported(attributes: &[syn::Attribute]) -> bool {
    let text = |a: &syn::Attribute| match &a.meta {
        syn::Meta::List(list) => format!("{} {}", list.path.segments[0].ident, list.tokens),
        other => other.path().segments[0].ident.to_string(),
    };
    attributes.iter().any(|a| text(a).contains("no_mangle") || text(a).contains("export_name"))
}

fn collect(file: &str, items: Vec<Item>, into: &mut Functions) {
    for item in items {
        match item {
            Item::Fn(item) => {
                let exported = is_exported(&item.attrs);
                let foreign = item.sig.abi.is_some();
                assert_eq!(
                    exported, foreign,
                    "{}: extern and no_mangle go together",
                    item.sig.ident
                );
                let key = (file.to_owned(), item.sig.ident.to_string());
                into.insert(key, Function { block: *item.block, exported });
            }
            Item::Impl(item) => {
                let syn::Type::Path(of) = &*item.self_ty else { continue };
                let of = of.path.segments.last().unwrap().ident.to_string();
                for item in item.items {
                    let ImplItem::Fn(item) = item else { continue };
                    assert!(!is_exported(&item.attrs) && item.sig.abi.is_none());
                    let key = (file.to_owned(), format!("{of}::{}", item.sig.ident));
                    into.insert(key, Function { block: item.block, exported: false });
                }
            }
            Item::Mod(item) if item.ident != "tests" => {
                collect(file, item.content.map(|c| c.1).unwrap_or_default(), into);
            }
            _ => {}
        }
    }
}

fn functions() -> Functions {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ffi");
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let items = syn::parse_file(&std::fs::read_to_string(&path).unwrap()).unwrap().items;
        collect(&file, items, &mut found);
    }
    found
}

/// Looks for what could panic where no guard catches.
struct Check<'a> {
    functions: &'a Functions,
    file: &'a str,
    depth: u32,
}

/// Methods that cannot panic themselves; a closure given to them is looked into.
const METHODS: [&str; 8] =
    ["map", "map_or", "ok_or", "is_null", "is_aligned", "as_ref", "as_ptr", "to_string"];
/// Functions of other modules that only wrap a value or make an empty one.
const WRAPPERS: [&str; 4] = ["from_raw", "from_micros", "from", "default"];
/// The two that catch: what they are given to run may do as it likes.
const CATCH: [&str; 2] = ["guard", "Handle::with"];

impl Check<'_> {
    /// A call of this function or `Type::function`: one of ours is looked into.
    fn call(&self, path: &syn::Path) -> Result<(), String> {
        let parts: Vec<_> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        let name = parts.last().unwrap();
        if name.starts_with(char::is_uppercase) || WRAPPERS.contains(&name.as_str()) {
            return Ok(()); // a variant, or a wrapper
        }
        let owned = parts.len().checked_sub(2).map(|of| format!("{}::{name}", parts[of]));
        let owned = owned.filter(|owned| self.functions.keys().any(|(_, known)| known == owned));
        self.follow(owned.as_ref().unwrap_or(name))
    }

    /// Looks into a function: that of this file, or else all of this name.
    fn follow(&self, name: &str) -> Result<(), String> {
        if CATCH.contains(&name) {
            return Ok(());
        }
        let own = self.functions.get_key_value(&(self.file.to_owned(), name.to_owned()));
        let others = self.functions.iter().filter(|((_, other), _)| other == name);
        let meant: Vec<_> = own.map_or_else(|| others.collect(), |own| vec![own]);
        if meant.is_empty() || self.depth > 8 {
            return Err(format!("calls {name}"));
        }
        for ((file, _), function) in meant {
            let within = Check { functions: self.functions, file, depth: self.depth + 1 };
            within.block(&function.block).map_err(|why| format!("{name}: {why}"))?;
        }
        Ok(())
    }

    fn block(&self, block: &Block) -> Result<(), String> {
        block.stmts.iter().try_for_each(|statement| match statement {
            Stmt::Local(local) => {
                let Some(init) = &local.init else { return Ok(()) };
                self.expr(&init.expr)?;
                init.diverge.as_ref().map_or(Ok(()), |(_, otherwise)| self.expr(otherwise))
            }
            Stmt::Expr(expr, _) => self.expr(expr),
            Stmt::Item(_) => Ok(()),
            Stmt::Macro(_) => Err("a macro".into()),
        })
    }

    fn all<'e>(&self, mut exprs: impl Iterator<Item = &'e Expr>) -> Result<(), String> {
        exprs.try_for_each(|expr| self.expr(expr))
    }

    fn method(&self, call: &syn::ExprMethodCall) -> Result<(), String> {
        let name = call.method.to_string();
        self.expr(&call.receiver)?;
        // A method of ours, if this file has one of that name.
        let own = self.functions.keys().find(|(file, known)| {
            file == self.file && known.split_once("::").is_some_and(|(_, known)| known == name)
        });
        match own {
            Some((_, own)) => self.follow(own)?,
            None if METHODS.contains(&name.as_str()) => {}
            None => return Err(format!("calls .{name}()")),
        }
        let catches = own.is_some_and(|(_, own)| CATCH.contains(&own.as_str()));
        call.args.iter().try_for_each(|argument| match argument {
            Expr::Closure(closure) if !catches => self.expr(&closure.body),
            other => self.expr(other),
        })
    }

    fn expr(&self, expr: &Expr) -> Result<(), String> {
        match expr {
            // A closure is not run where it is written.
            Expr::Path(_) | Expr::Lit(_) | Expr::Closure(_) => Ok(()),
            Expr::Reference(e) => self.expr(&e.expr),
            Expr::RawAddr(e) => self.expr(&e.expr),
            Expr::Paren(e) => self.expr(&e.expr),
            Expr::Cast(e) => self.expr(&e.expr),
            Expr::Field(e) => self.expr(&e.base),
            Expr::Try(e) => self.expr(&e.expr),
            Expr::Unary(e) if matches!(e.op, syn::UnOp::Not(_)) => self.expr(&e.expr),
            Expr::Binary(e) if is_comparison(&e.op) => {
                self.expr(&e.left).and_then(|()| self.expr(&e.right))
            }
            Expr::Assign(e) => self.expr(&e.left).and_then(|()| self.expr(&e.right)),
            Expr::Tuple(e) => self.all(e.elems.iter()),
            Expr::Struct(e) => self.all(e.fields.iter().map(|field| &field.expr)),
            Expr::Return(e) => e.expr.as_ref().map_or(Ok(()), |e| self.expr(e)),
            Expr::Unsafe(e) => self.block(&e.block),
            Expr::Block(e) => self.block(&e.block),
            Expr::Let(e) => self.expr(&e.expr),
            Expr::If(e) => {
                self.expr(&e.cond)?;
                self.block(&e.then_branch)?;
                e.else_branch.as_ref().map_or(Ok(()), |(_, otherwise)| self.expr(otherwise))
            }
            Expr::Match(e) => {
                self.expr(&e.expr)?;
                e.arms.iter().try_for_each(|arm| {
                    let guarded = arm.guard.as_ref().map_or(Ok(()), |(_, guard)| self.expr(guard));
                    guarded.and_then(|()| self.expr(&arm.body))
                })
            }
            Expr::Call(e) => {
                self.all(e.args.iter())?;
                let Expr::Path(path) = &*e.func else { return Err("calls a value".into()) };
                self.call(&path.path)
            }
            Expr::MethodCall(e) => self.method(e),
            other => Err(format!("does {:?}", std::mem::discriminant(other))),
        }
    }
}

fn is_comparison(op: &BinOp) -> bool {
    use BinOp::{And, Eq, Ge, Gt, Le, Lt, Ne, Or};
    matches!(op, And(_) | Or(_) | Eq(_) | Ne(_) | Lt(_) | Le(_) | Gt(_) | Ge(_))
}

/// The functions that the header declares.
fn declared() -> usize {
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/subrosa.h");
    let header = std::fs::read_to_string(header).unwrap();
    let statements = header.split(';').filter(|statement| statement.trim_end().ends_with(')'));
    let functions = statements.filter(|statement| !statement.contains("typedef "));
    functions.filter(|s| s.contains(" subrosa_") || s.contains("*subrosa_")).count()
}

#[test]
fn no_export_does_anything_outside_a_guard_that_could_panic() {
    let functions = functions();
    let exports: Vec<_> = functions.iter().filter(|(_, function)| function.exported).collect();
    assert_eq!(exports.len(), declared(), "exports and the header");
    let mut found = Vec::new();
    for ((file, name), function) in exports {
        let check = Check { functions: &functions, file, depth: 0 };
        found.extend(check.block(&function.block).err().map(|why| format!("{name} {why}")));
    }
    assert!(found.is_empty(), "outside of a guard:\n{}", found.join("\n"));
}

#[test]
fn the_two_places_that_catch_do() {
    let functions = functions();
    for name in CATCH {
        let block = &functions[&("guard".to_owned(), name.to_owned())].block;
        let catches = block.stmts.iter().any(|statement| {
            let expr = match statement {
                Stmt::Local(local) => local.init.as_ref().map(|init| &*init.expr),
                Stmt::Expr(Expr::MethodCall(call), _) => Some(&*call.receiver),
                _ => None,
            };
            matches!(expr, Some(Expr::Call(call)) if matches!(
                &*call.func, Expr::Path(path) if path.path.is_ident("catch_unwind")
            ))
        });
        assert!(catches, "{name}");
        // That they do what they say is a unit test beside them.
    }
}

#[test]
fn the_check_sees_what_could_panic() {
    let functions = functions();
    let check = Check { functions: &functions, file: "config", depth: 0 };
    let judge = |text: &str| check.block(&syn::parse_str::<Block>(text).unwrap());
    for good in [
        "{ let make = || v[0].unwrap(); guard(|| status_of(make()), SUBROSA_ERR_PANIC) }",
        "{ unsafe { set(config, |config| panic!()) } }",
        "{ let Some(h) = (unsafe { live(config) }) else { return SUBROSA_ERR_NULL }; guard(h, 1) }",
    ] {
        assert_eq!(judge(good), Ok(()), "{good}");
    }
    for bad in [
        "{ let make = || v[0]; make(); guard(make, 1) }",
        "{ let first = v[0]; guard(|| first, 1) }",
        "{ text.starts_with(\"x\"); guard(|| 1, 1) }",
        "{ unsafe { set(config.unwrap(), change) } }",
        "{ guard(|| 1, a + b) }",
        "{ unsafe { live(config) }.map(|config| config.0.unwrap()); guard(|| 1, 1) }",
        "{ assert!(ok); guard(|| 1, 1) }",
        "{ Uri::parse(text); guard(|| 1, 1) }",
        "{ unsafe { address(text) } }",
    ] {
        assert!(judge(bad).is_err(), "{bad}");
    }
}
