# include(${ASCEND_CANN_PACKAGE_PATH}/compiler/tikcpp/ascendc_kernel_cmake/ascendc.cmake): functions
# that compile kernels for the SoC that SOC_VERSION names.
get_filename_component(ascendc_modules "${CMAKE_CURRENT_LIST_FILE}" REALPATH)
get_filename_component(ascendc_modules "${ascendc_modules}" DIRECTORY)
include("${ascendc_modules}/ascendc_library.cmake")

if(NOT EXISTS "${ASCEND_CANN_PACKAGE_PATH}")
  message(FATAL_ERROR "ASCEND_CANN_PACKAGE_PATH must be the folder of a CANN, got "
    "\"${ASCEND_CANN_PACKAGE_PATH}\". Set -DASCEND_CANN_PACKAGE_PATH=$ASCEND_HOME_PATH.")
endif()
if(NOT DEFINED RUN_MODE)
  set(RUN_MODE "npu")
endif()
ascendc_check_run_mode(RUN_MODE)
ascendc_set_soc("${SOC_VERSION}")
enable_language(ASC)

# What host programs link beside the library, in CANN's samples.
if(NOT TARGET host_intf_pub)
  add_library(host_intf_pub INTERFACE)
  target_include_directories(host_intf_pub INTERFACE "${ASCEND_CANN_PACKAGE_PATH}/include")
  target_link_directories(host_intf_pub INTERFACE "${ASCEND_CANN_PACKAGE_PATH}/lib64")
endif()
# As with CANN's file, programs find libraries by LD_LIBRARY_PATH.
set(CMAKE_SKIP_RPATH TRUE)
