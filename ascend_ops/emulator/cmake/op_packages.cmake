# The functions of find_package(ASC) that build packages of aclnn functions. They need CANN's
# operator compiler, which the emulated CANN does not have.
foreach(ascendc_function npu_op_package npu_op_package_add npu_op_library npu_op_code_gen
    npu_op_kernel_library npu_op_kernel_options npu_op_kernel_sources npu_op_device_tiling_library)
  function(${ascendc_function})
    message(FATAL_ERROR "${CMAKE_CURRENT_FUNCTION} is not emulated: the emulated CANN builds no "
      "packages of aclnn functions. Launch the kernel from a library instead: ascendc_library, or "
      "add_library with .asc sources.")
  endfunction()
endforeach()
