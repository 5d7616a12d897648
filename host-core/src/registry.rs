//! All interfaces by name, for programs that are not fused: `mwasm run` and tests. An image has its own table.

use crate::{Register, State};
use wasmtime::Result;
use wasmtime::component::Linker;

macro_rules! table {
    ($module:ident :: { $($function:ident),* $(,)? }) => {
        &[$((stringify!($function), crate::$module::$function as Register)),*]
    };
}

/// The registration functions of WASI 0.2, by symbol.
const V02: &[(&str, Register)] = table! {
    v02::{
        mwasm_iface_cli_environment_0_2,
        mwasm_iface_cli_exit_0_2,
        mwasm_iface_cli_stderr_0_2,
        mwasm_iface_cli_stdin_0_2,
        mwasm_iface_cli_stdout_0_2,
        mwasm_iface_cli_terminal_input_0_2,
        mwasm_iface_cli_terminal_output_0_2,
        mwasm_iface_cli_terminal_stderr_0_2,
        mwasm_iface_cli_terminal_stdin_0_2,
        mwasm_iface_cli_terminal_stdout_0_2,
        mwasm_iface_clocks_monotonic_clock_0_2,
        mwasm_iface_clocks_wall_clock_0_2,
        mwasm_iface_config_store_0_2_0_rc_1,
        mwasm_iface_filesystem_preopens_0_2,
        mwasm_iface_filesystem_types_0_2,
        mwasm_iface_http_outgoing_handler_0_2,
        mwasm_iface_http_types_0_2,
        mwasm_iface_io_error_0_2,
        mwasm_iface_io_poll_0_2,
        mwasm_iface_io_streams_0_2,
        mwasm_iface_random_insecure_0_2,
        mwasm_iface_random_insecure_seed_0_2,
        mwasm_iface_random_random_0_2,
        mwasm_iface_sockets_instance_network_0_2,
        mwasm_iface_sockets_ip_name_lookup_0_2,
        mwasm_iface_sockets_network_0_2,
        mwasm_iface_sockets_tcp_0_2,
        mwasm_iface_sockets_tcp_create_socket_0_2,
        mwasm_iface_sockets_udp_0_2,
        mwasm_iface_sockets_udp_create_socket_0_2,
    }
};

/// The registration functions of WASI 0.3, by symbol.
#[cfg(feature = "component-model-async")]
const V03: &[(&str, Register)] = table! {
    v03::{
        mwasm_iface_cli_environment_0_3,
        mwasm_iface_cli_exit_0_3,
        mwasm_iface_cli_stderr_0_3,
        mwasm_iface_cli_stdin_0_3,
        mwasm_iface_cli_stdout_0_3,
        mwasm_iface_cli_terminal_input_0_3,
        mwasm_iface_cli_terminal_output_0_3,
        mwasm_iface_cli_terminal_stderr_0_3,
        mwasm_iface_cli_terminal_stdin_0_3,
        mwasm_iface_cli_terminal_stdout_0_3,
        mwasm_iface_cli_types_0_3,
        mwasm_iface_clocks_monotonic_clock_0_3,
        mwasm_iface_clocks_system_clock_0_3,
        mwasm_iface_clocks_types_0_3,
        mwasm_iface_filesystem_preopens_0_3,
        mwasm_iface_filesystem_types_0_3,
        mwasm_iface_random_insecure_0_3,
        mwasm_iface_random_insecure_seed_0_3,
        mwasm_iface_random_random_0_3,
        mwasm_iface_sockets_ip_name_lookup_0_3,
        mwasm_iface_sockets_types_0_3,
    }
};

#[cfg(not(feature = "component-model-async"))]
const V03: &[(&str, Register)] = &[];

/// Every registration function by its symbol.
pub fn functions() -> impl Iterator<Item = (&'static str, Register)> {
    V02.iter().chain(V03).copied()
}

/// Registers every interface.
pub fn register_all(linker: &mut Linker<State>) -> Result<()> {
    functions().try_for_each(|(_, register)| register(linker))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use mwasm_plan::interfaces::INTERFACES;

    #[test]
    fn every_row_of_the_plan_has_its_function_and_no_function_is_without_a_row() {
        let mut rows: Vec<_> = INTERFACES.iter().map(|row| row.symbol()).collect();
        let mut functions: Vec<_> = functions().map(|(symbol, _)| symbol).collect();
        rows.sort_unstable();
        functions.sort_unstable();
        assert_eq!(rows, functions);
    }
}
